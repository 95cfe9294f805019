"""What was set aside, ``ops.rejects``: stored once, open until it is sound or gone.

Records that were set aside are read again without a request, until they are sound. A child list in
which a record was set aside is read again from beginning to end (``ops.hints``): at the next run,
then after as long a time as the record has been bad, between five minutes and a day, so that a
service that is well again repairs what it had sent in another form. A list that is read whole
without meeting a record that was set aside settles it. What is acknowledged is not read again for
its own sake, and what has no parent is read whole often enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from hatif.sink import Batch
from hatif.wire import Reject
from warehouse.lake import staging
from warehouse.lake.isolation import Refused
from warehouse.lake.sql import exists

#: Before the location of a key whose rows DuckDB refuses to compute: consumer and kind follow.
_COMPUTED = "computed:"

_SCHEMA = pa.schema(
    [
        ("reject_id", pa.string()),
        ("stream", pa.string()),
        ("reason", pa.string()),
        ("raw", pa.string()),
        ("location", pa.string()),
        ("received_at", pa.timestamp("us", "UTC")),
        ("signature", pa.string()),
        ("is_stated", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record or event set aside.

    Attributes:
        received_at: of an event whose `raw` is all of it, so that it can be validated again.
        signature: as sent with it.
        is_stated: an envelope stated `received_at`; None where that does not matter.
    """

    reject_id: str
    stream: str
    reason: str
    raw: str
    location: str
    received_at: datetime | None = None
    signature: str | None = None
    is_stated: bool | None = None


def store(connection: duckdb.DuckDBPyConnection, source: str, found: Sequence[Rejected]) -> None:
    """Write what was set aside, inside a transaction.

    What is known is not written again; what had been replayed and is bad again is open again.

    Args:
        connection: inside a transaction.
        source: api or webhook.
        found: in any order, with repetitions.
    """
    if not found:
        return
    rows = {reject.reject_id: reject for reject in found}
    table = pa.Table.from_pylist(
        [{name: getattr(reject, name) for name in _SCHEMA.names} for reject in rows.values()],
        schema=_SCHEMA,
    )
    connection.register("found", table)
    store_relation(connection, source, "found")
    if source == "webhook":
        _follow(connection, "found")
    connection.unregister("found")


def store_relation(connection: duckdb.DuckDBPyConnection, source: str, relation: str) -> None:
    """Write what a relation with the columns of `Rejected` holds, each reject once; see `store`."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT reject_id, replayed_at FROM ops.rejects "
        f"WHERE reject_id IN (SELECT reject_id FROM {relation})"
    )
    connection.execute(
        "INSERT INTO ops.rejects BY NAME SELECT *, $source AS source, now() AS first_seen_at, "
        f"now() AS last_seen_at FROM {relation} "
        "WHERE reject_id NOT IN (SELECT reject_id FROM known)",
        {"source": source},
    )
    if exists(connection, "FROM known"):
        connection.execute(
            "UPDATE ops.rejects SET replayed_at = NULL, last_seen_at = now() "
            "WHERE reject_id IN (SELECT reject_id FROM known)"
        )


def _follow(connection: duckdb.DuckDBPyConnection, relation: str) -> None:
    """Let rejects of webhook files name the file in which they were met last: files are moved."""
    moved = "r.reject_id = f.reject_id AND f.location <> '' AND r.location <> f.location"
    if exists(connection, f"FROM ops.rejects r JOIN {relation} f ON {moved}"):
        connection.execute(
            f"UPDATE ops.rejects AS r SET location = f.location FROM {relation} f WHERE {moved}"
        )


def store_records(connection: duckdb.DuckDBPyConnection, found: Sequence[Reject]) -> None:
    """Write records of the API that were set aside, see `store`."""
    store(
        connection,
        "api",
        [Rejected(r.reject_id, r.stream, r.reason, r.raw, r.location) for r in found],
    )


def store_keys(
    connection: duckdb.DuckDBPyConnection,
    consumer: str,
    table: str,
    refused: Sequence[Refused[tuple[str, str]]],
) -> None:
    """Set aside keys whose rows DuckDB refuses to compute, and take them off the invalidation log.

    Their old rows stay. A replay, or the next change of theirs, has them computed again.

    Args:
        connection: inside a transaction.
        consumer: who computes, `merge` or `marts`.
        table: that is computed, as the reject's stream.
        refused: kinds and keys, as in ``ops.outdated``.
    """
    found = []
    for one in refused:
        kind, key = one.item
        location = f"{_COMPUTED}{consumer}/{kind}"
        text = "\x1f".join((location, one.reason, key))
        reject_id = hashlib.sha256(text.encode()).hexdigest()
        # A NUL ends a text in some readers.
        found.append(Rejected(reject_id, table, one.reason, key.replace("\0", "\\x00"), location))
        connection.execute(
            f"DELETE FROM {staging.marks(connection)} "
            "WHERE consumer = ? AND kind = ? AND list_contains([?], key)",
            [consumer, kind, key],
        )
    store(connection, "api", found)


def is_computed(location: str) -> bool:
    """Return whether the location of a reject is that of a key set aside by `store_keys`."""
    return location.startswith(_COMPUTED)


def compute_again(connection: duckdb.DuckDBPyConnection, location: str, raw: str) -> None:
    """Put a key that was set aside on the invalidation log again; inside a transaction."""
    consumer, _, kind = location.removeprefix(_COMPUTED).partition("/")
    connection.execute(
        f"INSERT INTO {staging.marks(connection)} VALUES (?, ?, ?)",
        [consumer, kind, raw.replace("\\x00", "\0")],
    )


def settle(connection: duckdb.DuckDBPyConnection, which: str) -> None:
    """Mark open rejects as replayed; run inside a transaction.

    Args:
        connection: inside a transaction.
        which: an SQL condition on ``ops.rejects``.
    """
    condition = f"replayed_at IS NULL AND {which}"
    if exists(connection, f"FROM ops.rejects WHERE {condition}"):
        connection.execute(f"UPDATE ops.rejects SET replayed_at = now() WHERE {condition}")


def listed(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the open rejects, oldest first."""
    cursor = connection.execute(
        "SELECT reject_id, source, stream, reason, location, first_seen_at, raw FROM ops.rejects "
        "WHERE replayed_at IS NULL ORDER BY first_seen_at, reject_id"
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def advance(
    connection: duckdb.DuckDBPyConnection, batch: Batch, set_aside: Sequence[Reject]
) -> None:
    """Store a batch's bad records, settle what its lists no longer hold, plan the others again.

    Args:
        connection: inside the batch's transaction, its cursors moved.
        batch: whose lists were read.
        set_aside: its bad records.
    """
    store_records(connection, set_aside)
    name = batch.stream.name
    if not exists(connection, f"FROM ops.rejects WHERE stream = '{name}' AND replayed_at IS NULL"):
        return
    whole = {c.parent_id: c.started_at for c in batch.ended if c.whole and c.verdict.certified}
    if whole:
        _register(connection, batch, list(whole))
        began = pa.array(list(whole.values()), pa.timestamp("us", "UTC"))
        connection.register("began", pa.table({"parent_id": _text(list(whole)), "at": began}))
        settle(
            connection,
            f"stream = '{name}' AND source = 'api' AND EXISTS (FROM lists JOIN began "
            "ON began.parent_id IS NOT DISTINCT FROM lists.parent_id "
            "WHERE lists.location = rejects.location "
            "AND coalesce(rejects.last_seen_at, rejects.first_seen_at) < began.at)",
        )
        connection.unregister("began")
        connection.unregister("lists")
    if set_aside and batch.stream.parent is not None:
        _register(connection, batch, [scanned.certificate.parent_id for scanned in batch.pages])
        connection.execute(_PLAN, {"stream": name})
        connection.unregister("lists")


def _register(
    connection: duckdb.DuckDBPyConnection, batch: Batch, parents: Sequence[str | None]
) -> None:
    """Make the relation ``lists``: parent_id and location, as rejects name it."""
    parents = list(dict.fromkeys(parents))
    locations = [batch.stream.list_path(parent) for parent in parents]
    connection.register(
        "lists", pa.table({"parent_id": _text(parents), "location": _text(locations)})
    )


def _text(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


_PLAN = """
    INSERT INTO ops.hints BY NAME
    SELECT $stream AS stream, l.parent_id, true AS whole,
        now() + CASE WHEN min(r.first_seen_at) < now() THEN
            least(greatest(now() - min(r.first_seen_at), INTERVAL 5 MINUTE), INTERVAL 1 DAY)
        ELSE INTERVAL 0 DAY END AS hinted_at
    FROM ops.rejects r JOIN lists l USING (location)
    WHERE r.stream = $stream AND r.source = 'api' AND r.replayed_at IS NULL
        AND r.reject_id NOT IN (
            SELECT reject_id FROM ops.acknowledgements WHERE withdrawn_at IS NULL)
        AND l.parent_id NOT IN (SELECT parent_id FROM ops.hints WHERE stream = $stream AND whole)
    GROUP BY l.parent_id
"""
