"""Records that their list could not deliver, fetched one by one from their own addresses.

A row that breaks its list is passed over by its position, so its id is not known. It is likely one
that is stored and was not met in the list, or one that other records name and that is not stored;
its own address may well answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
import msgspec
import numpy as np

from hatif.client import HatifClient
from hatif.envelope import UNREADABLE, fold
from hatif.errors import ServiceError, Undecodable
from hatif.reading import Reading, is_of_one_list
from hatif.sender import Meter
from hatif.streams import Stream
from hatif.wire import Page, Spelling, decode_page
from warehouse.lake.connection import Lake
from warehouse.models.model import main_model
from warehouse.records.loader import Loader

#: Ids fetched at most for each row passed over: most that are named may be gone for long.
_MOST_EACH = 10
_AT_ONCE = 10_000  # ids
#: Keys below which a single record was seen, or may be expected.
_WRAPPERS = frozenset({"id", "data", "result"})


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the ids of a stream's records are found, and what their own addresses deliver.

    Attributes:
        named: SQL, columns record_id and parent_id: named by others and not stored.
        parent_key: the record's key that names its list; None for a stream of one list.
        is_same_shape: an address delivers what the list does, so that it may replace what is
            stored. A single conversation has no last event.
    """

    named: str
    parent_key: str | None = None
    is_same_shape: bool = True


_SOURCES = {
    "contacts": _Source(
        "SELECT DISTINCT contact_id AS record_id, NULL::VARCHAR AS parent_id "
        "FROM core.conversations WHERE deleted_at IS NULL AND contact_id IS NOT NULL "
        "AND contact_id NOT IN (SELECT contact_id FROM core.contacts) ORDER BY ALL"
    ),
    "conversations": _Source(
        "SELECT record_id, any_value(channel_id) AS parent_id FROM ("
        "SELECT conversation_id AS record_id, channel_id FROM core.messages UNION ALL "
        "SELECT parent_id, NULL FROM ops.hints WHERE stream = 'timelines') "
        "WHERE record_id NOT IN (SELECT conversation_id FROM core.conversations) "
        "GROUP BY record_id ORDER BY ALL",
        parent_key="channelId",
        is_same_shape=False,
    ),
}


async def fetch_passed_over(
    client: HatifClient,
    stream: Stream,
    lake: Lake,
    loader: Loader,
    spelling: Spelling,
    reading: Reading,
    meter: Meter,
) -> int:
    """Fetch records that their lists did not deliver; return how many were stored.

    Args:
        client: the run's shared client.
        stream: some of whose rows were passed over.
        lake: what is stored.
        loader: stores what is found.
        spelling: of the keys that the warehouse reads.
        reading: how many were passed over, and what the lists showed.
        meter: where requests are counted.

    Raises:
        AuthenticationFailed, RateLimited: no record can be fetched.
        RequestLimitReached: the run may send no more requests.
    """
    source = _SOURCES.get(stream.name)
    if source is None or stream.own_path is None:
        return 0
    rows, found = reading.passed_over, 0
    candidates = await anyio.to_thread.run_sync(_candidates, lake, stream, source, reading)
    for record_id, named_parent in candidates:
        page = await _fetch(client, stream, record_id, spelling, meter)
        if page is not None and page.ids == [record_id]:
            parent = _parent(page, source) or named_parent
            if parent is not None or stream.parent is None:
                found += await anyio.to_thread.run_sync(loader.restore, stream, parent, page)
        if found >= rows:
            break
    return found


def _candidates(
    lake: Lake, stream: Stream, source: _Source, reading: Reading
) -> list[tuple[str, str | None]]:
    """Return ids, each with its parent where something names it, the likeliest first."""
    most = reading.passed_over * _MOST_EACH
    with lake.reading() as connection:
        found = list(_not_met(connection, stream, reading, most)) if source.is_same_shape else []
        return found + connection.execute(f"{source.named} LIMIT {int(most)}").fetchall()


def _not_met(
    connection: Any, stream: Stream, reading: Reading, most: int
) -> Iterator[tuple[str, None]]:
    """Yield stored ids that the stream's one list did not show, though it was read."""
    met = reading.met.get(None)
    if met is None:
        return
    model = main_model(stream.name)
    rows = connection.execute(
        f"SELECT {model.replace} FROM {model.table} WHERE deleted_at IS NULL ORDER BY ALL"
    )
    while most > 0 and (chunk := [record_id for (record_id,) in rows.fetchmany(_AT_ONCE)]):
        hashes = np.fromiter(map(hash, chunk), np.int64, len(chunk))
        missing = [chunk[i] for i in np.flatnonzero(~np.isin(hashes, met))[:most]]
        most -= len(missing)
        yield from ((record_id, None) for record_id in missing)


def _parent(page: Page, source: _Source) -> str | None:
    """Return the list that a record states to be of."""
    if source.parent_key is None:
        return None
    value = msgspec.json.decode(page.payloads[0]).get(source.parent_key)
    return value.strip().lower() or None if isinstance(value, str) else None


def _bare(body: bytes) -> bytes:
    """Return the record of an answer, which may come below a key of its own."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return body
    below = (bytes(value) for key, value in answer.items() if fold(key) in _WRAPPERS)
    return next((value for value in below if value.lstrip().startswith(b"{")), body)


async def _fetch(
    client: HatifClient, stream: Stream, record_id: str, spelling: Spelling, meter: Meter
) -> Page | None:
    """Return one record as a page, None where its own address does not give it."""

    def decode(body: bytes) -> Page:
        page = decode_page(b"[" + _bare(body) + b"]", stream, spelling, None)
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
