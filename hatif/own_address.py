"""Whether a record lives, by its own address."""

from __future__ import annotations

from urllib.parse import quote

from hatif.client import HatifClient
from hatif.errors import NotFound
from hatif.sender import Meter


async def is_alive(client: HatifClient, own_path: str, record_id: str, meter: Meter) -> bool:
    """Request a record's own address; only the service's own 404 means that it is gone.

    Args:
        client: the run's shared client.
        own_path: the address, ``{id}`` for the record's id.
        record_id: whose.
        meter: where requests are counted.

    Raises:
        ServiceError: anything but 200 and that 404.
    """
    try:
        await client.get(own_path.replace("{id}", quote(record_id, safe="")), {}, len, meter)
    except NotFound as error:
        if error.abp:
            return False
        raise
    return True
