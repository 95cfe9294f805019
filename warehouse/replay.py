"""Replay: records and events that were set aside, validated again by this version's code.

What now passes is stored as if it had come today, unless the record was stored in another version
after the bad one was last met.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import duckdb

from hatif.errors import Undecodable
from hatif.streams import STREAMS, Stream
from hatif.webhooks.signatures import Secrets
from hatif.wire import Page, Spelling, decode_page
from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake.connection import Lake
from warehouse.lake.sql import home_values
from warehouse.records import workspace
from warehouse.records.loader import Loader
from warehouse.webhooks.batch import WebhookBatch, is_verified, store
from warehouse.webhooks.deliveries import is_stored

_AT_ONCE = 1_000


@dataclass(slots=True)
class Replayed:
    """What a replay did: rejects settled, and those that are still bad."""

    settled: int = 0
    left: int = 0


def replay(lake: Lake, secrets: Secrets, spelling: Spelling) -> Replayed:
    """Validate every open reject again.

    Args:
        lake: open for writing, tables made.
        secrets: of the channels that webhooks come from.
        spelling: of the keys that the warehouse reads.

    Raises:
        WarehouseError: DuckDB rejected something; what was settled before stays.
    """
    done = Replayed()
    after = ""
    with lake.reading() as connection:
        workspaces = workspace.known_ids(home_values(connection))
    while True:
        with lake.reading() as connection:
            rows = connection.execute(
                "SELECT reject_id, source, stream, raw, location, received_at, signature, "
                "coalesce(is_stated, true), reason FROM ops.rejects "
                "WHERE replayed_at IS NULL AND reject_id > ? "
                "ORDER BY reject_id LIMIT ?",
                [after, _AT_ONCE],
            ).fetchall()
        if not rows:
            return done
        after = rows[-1][0]
        batch, settled = WebhookBatch(workspaces=workspaces), []
        for reject_id, source, stream, raw, location, at, signature, is_stated, reason in rows:
            if source == "webhook":
                sound = is_stored(location) or batch.take_again(
                    secrets,
                    raw,
                    at,
                    signature,
                    is_stated=is_stated,
                    is_verified=is_verified(reason),
                )
            elif rejects.is_computed(location):
                _compute_again(lake, location, raw)
                sound = True
            else:
                entry = STREAMS.get(stream)  # None: a stream of another version
                sound = entry is not None and _take_record(
                    lake, entry, raw, location, spelling, reject_id
                )
            if sound:
                settled.append(reject_id)
        if batch.deliveries:
            store(lake, batch)
        _settle(lake, settled)
        done.settled += len(settled)
        done.left += len(rows) - len(settled)


def _compute_again(lake: Lake, location: str, raw: str) -> None:
    lake.write("mark for computing", lambda c: rejects.compute_again(c, location, raw))


def _take_record(
    lake: Lake, stream: Stream, raw: str, location: str, spelling: Spelling, reject_id: str
) -> bool:
    """Store a record that can be read now; whether it could be."""
    parent = _parent(stream, location)
    try:
        page = decode_page(b"[" + raw.encode() + b"]", stream, spelling, parent)
    except Undecodable:
        return False  # set aside since it is no JSON
    if not page.ids or page.rejects:
        return False
    if _is_superseded(lake, stream, page, reject_id):
        return True
    try:
        return Loader(lake, "replay").restore(stream, parent, page)
    except ValueRefused:
        return False


def _parent(stream: Stream, location: str) -> str | None:
    """Return the parent's id out of the address of a list."""
    if stream.parent is None:
        return None
    before, _, behind = stream.path.partition("{parent}")
    quoted = location.removeprefix(before).removesuffix(behind).partition("/")[0]
    return unquote(quoted) or None


def _is_superseded(lake: Lake, stream: Stream, page: Page, reject_id: str) -> bool:
    """Whether a version of the record was stored after the bad one was last met."""
    with lake.reading() as connection:
        found = connection.execute(
            "SELECT 1 FROM raw.records WHERE stream = ? AND record_id = ? AND fetched_at > "
            "(SELECT coalesce(last_seen_at, first_seen_at) FROM ops.rejects WHERE reject_id = ?) "
            "LIMIT 1",
            [stream.name, page.ids[0], reject_id],
        ).fetchone()
    return found is not None


def _settle(lake: Lake, reject_ids: list[str]) -> None:
    if not reject_ids:
        return
    listed = ", ".join(f"'{reject_id}'" for reject_id in reject_ids)

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        rejects.settle(connection, f"reject_id IN ({listed})")

    lake.write("settle rejects", work)
