"""Whether a record lives, by its own address."""

from __future__ import annotations

from urllib.parse import quote

from hatif.client import HatifClient
from hatif.errors import NotFound
from hatif.sender import Meter


async def is_alive(
    client: HatifClient,
    own_path: str,
    record_id: str,
    meter: Meter,
    *,
    attempts: int | None = None,
) -> bool:
    """Request a record's own address; only the service's own 404 means that it is gone.

    Args:
        client: the run's shared client.
        own_path: the address, ``{id}`` for the record's id.
        record_id: whose.
        meter: where requests are counted.
        attempts: tries at most, None for the client's.

    Raises:
        ServiceError: anything but 200 and that 404.
    """
    path = own_path.replace("{id}", quote(record_id, safe=""))
    try:
        await client.get(path, {}, len, meter, attempts=attempts)
    except NotFound as error:
        if error.abp:
            return False
        raise
    return True
