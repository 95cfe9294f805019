"""Records that their list could not deliver, asked for one by one at their own addresses.

A row that breaks its list is passed over by its position, so its id is not known. Where other
records name one that is not stored, that is the likely one, and its own address may well answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import anyio

from hatif.client import HatifClient
from hatif.errors import ServiceError, Undecodable
from hatif.list_failures import is_of_one_list
from hatif.sender import Meter
from hatif.streams import Stream
from hatif.wire import Page, Spelling, decode_page
from warehouse.lake.connection import Lake
from warehouse.records.loader import Loader

#: Ids named by others and not stored, by stream: an SQL query with one column.
_NAMED_ELSEWHERE = {
    "contacts": "SELECT DISTINCT contact_id FROM core.conversations WHERE deleted_at IS NULL "
    "AND contact_id IS NOT NULL AND contact_id NOT IN (SELECT contact_id FROM core.contacts) "
    "ORDER BY contact_id",
}
#: Ids asked for at most for each row passed over: most that are named may be gone for long.
_MOST_EACH = 10


async def fetch_passed_over(
    client: HatifClient,
    stream: Stream,
    lake: Lake,
    loader: Loader,
    spelling: Spelling,
    rows: int,
    meter: Meter,
) -> int:
    """Fetch records that are named elsewhere and not stored; return how many were stored.

    Args:
        client: the run's shared client.
        stream: some of whose rows were passed over.
        lake: what is stored.
        loader: stores what is found.
        spelling: of the keys that the warehouse reads.
        rows: how many were passed over.
        meter: where requests are counted.

    Raises:
        AuthenticationFailed, RateLimited: no record can be asked for.
        RequestLimitReached: the run may ask no more.
    """
    query = _NAMED_ELSEWHERE.get(stream.name)
    if query is None or stream.own_path is None:
        return 0
    found = 0
    for record_id in _ids(lake, query, rows * _MOST_EACH):
        page = await _fetch(client, stream, record_id, spelling, meter)
        if page is not None and page.ids == [record_id]:
            found += await anyio.to_thread.run_sync(loader.restore, stream, None, page)
        if found >= rows:
            break
    return found


def _ids(lake: Lake, query: str, most: int) -> Sequence[str]:
    with lake.reading() as connection:
        rows = connection.execute(f"{query} LIMIT {int(most)}").fetchall()
    return [record_id for (record_id,) in rows]


async def _fetch(
    client: HatifClient, stream: Stream, record_id: str, spelling: Spelling, meter: Meter
) -> Page | None:
    """Return one record as a page, None where its own address does not give it."""

    def decode(body: bytes) -> Page:
        page = decode_page(b"[" + body + b"]", stream, spelling, None)
        if not page.ids:
            raise Undecodable("it is no record with an id")
        return page

    path = (stream.own_path or "").replace("{id}", quote(record_id, safe=""))
    try:
        return await client.get(path, {}, decode, meter, attempts=2)
    except ServiceError as error:
        if not is_of_one_list(error):
            raise
        return None
