"""Webhook deliveries typed once: from ``raw.webhook_events`` to a table a kind, and noted.

Merging reads typed columns. Each delivery is typed when it is met first; later only the time it was
received can change, when the same body turns up again. A delivery that DuckDB refuses to type is
set aside and left out until its reject is replayed; its neighbours are typed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import duckdb

from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake import closing, invalidation, known_ids, staging
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import Refused, error_for, isolate
from warehouse.lake.sql import exists, scalar
from warehouse.models.model import model
from warehouse.records import drift

#: The table of each kind, and which kind of thing a delivery makes outdated, named by what.
#: A message without a conversation stands for itself until another delivery names its conversation.
_KINDS = {
    "message": (
        "core.message_statuses",
        {
            "messages": "conversation_id",
            "delivery": "CASE WHEN conversation_id IS NULL THEN delivery_id END",
        },
    ),
    "call": ("core.call_statuses", {"call": "call_id"}),
    "ivr": ("core.ivr_statuses", {"ivr": "ivr_id"}),
}
_TABLES = [table for table, _ in _KINDS.values()]
#: Stands for the snapshot that `type_all` left.
TYPED = -1
#: So many new deliveries are typed in memory first, and noted from there.
_FEW = 1_000
_OUR_KINDS = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in _KINDS))

#: What rejects and drift of webhooks have as their stream.
STREAM = "webhook_events"
#: Deliveries typed in one transaction.
_AT_ONCE = 100_000
#: Where a stored delivery is that was set aside, before its id.
_STORED = "raw.webhook_events:"
_REFUSED = f"source = 'webhook' AND starts_with(location, '{_STORED}')"
#: The id of such a delivery, in a condition on rejects; text of no use for others.
REFUSED_ID = f"substr(location, {len(_STORED) + 1})"


def type_all(lake: Lake) -> int:
    """Type what is new, in bounded transactions; return how many deliveries.

    Raises:
        WarehouseError: DuckDB refused, and not one of them; what was typed before stays.
    """
    total = 0
    is_done = False
    while not is_done:
        try:
            typed, is_done = lake.write("type webhook deliveries", _type_some)
        except ValueRefused:
            if not set_aside(lake):
                raise
            continue
        total += typed
    return total


def _type_some(connection: duckdb.DuckDBPyConnection) -> tuple[int, bool]:
    """Type the next deliveries; return how many, and whether these were the last."""
    which, are_last = _next(connection)
    typed = _type_those(connection, which) if which else 0
    is_done = not typed or are_last or _next(connection)[0] is None
    if is_done:
        _take_over_receive_times(connection)
    return typed, is_done


def set_aside(lake: Lake, *, everything: bool = False) -> int:
    """Set aside deliveries that cannot be typed; return how many these are.

    Args:
        lake: open for writing.
        everything: look for them among all that are stored, typed ones too; else among the next
            to be typed.
    """
    connection = lake.reader()
    refused: list[Refused[tuple[Any, ...]]] = []
    try:
        slices = [_next(connection)[0] or "false"]
        if everything:
            last = scalar(connection, "SELECT coalesce(max(seq), 0) FROM raw.webhook_events")
            firsts = range(1, last + 1, _AT_ONCE)
            slices = [f"seq BETWEEN {first} AND {first + _AT_ONCE - 1}" for first in firsts]
        for which in slices:
            items = connection.execute(
                "SELECT kind, delivery_id, body, received_at FROM raw.webhook_events "
                f"WHERE {which}{_left_out(connection)} AND {_OUR_KINDS} ORDER BY kind, seq"
            ).fetchall()
            refused += isolate(items, partial(_try, connection))[1]
    finally:
        closing.close(connection)
    found = [_reject(one) for one in refused]
    if found:
        lake.write("set deliveries aside", lambda c: rejects.store(c, "webhook", found))
    return len(found)


def _reject(one: Refused[tuple[Any, ...]]) -> rejects.Rejected:
    _, delivery_id, body, received_at = one.item
    location = f"{_STORED}{delivery_id}"
    reject_id = hashlib.sha256(location.encode()).hexdigest()
    return rejects.Rejected(reject_id, STREAM, one.reason, body, location, received_at)


def _try(connection: duckdb.DuckDBPyConnection, items: Sequence[tuple[Any, ...]]) -> None:
    """Type deliveries without storing them.

    Raises:
        ValueRefused: DuckDB refused one.
    """
    for kind, (table, _) in _KINDS.items():
        ids = ", ".join(f"'{delivery_id}'" for one, delivery_id, *_ in items if one == kind)
        if ids:
            _read(connection, kind, f"delivery_id IN ({ids})")
            try:
                connection.execute(f"SELECT max(hash(t)) FROM ({model(table).select}) t").fetchall()
            except duckdb.Error as error:
                raise error_for("type webhook deliveries", error) from None


def is_stored(location: str) -> bool:
    """Return whether the location of a reject is that of a stored delivery."""
    return location.startswith(_STORED)


def _next(connection: duckdb.DuckDBPyConnection) -> tuple[str | None, bool]:
    """Return the condition on `seq` of the deliveries to type next, and whether none follow.

    The condition is None where there are none.
    """
    typed_to = scalar(
        connection,
        "SELECT greatest({})".format(
            ", ".join(f"(SELECT coalesce(max(seq), 0) FROM {table})" for table in _TABLES)
        ),
    )
    left_out = _left_out(connection)
    replayed = f"FROM ops.rejects WHERE {_REFUSED} AND replayed_at IS NOT NULL"
    first, last = connection.execute(
        f"SELECT min(seq), max(seq) FROM raw.webhook_events WHERE {_OUR_KINDS} "
        f"AND seq > {typed_to}{left_out}"
    ).fetchone() or (None, None)
    if first is not None:
        are_last = last < first + _AT_ONCE and not exists(connection, replayed)
        return f"seq BETWEEN {first} AND {first + _AT_ONCE - 1}", are_last
    if not exists(connection, replayed):
        return None, True
    typed = " UNION ALL ".join(f"SELECT delivery_id FROM {table}" for table in _TABLES)
    rows = connection.execute(
        f"SELECT seq FROM raw.webhook_events WHERE delivery_id IN (SELECT {REFUSED_ID} {replayed})"
        f" AND delivery_id NOT IN ({typed}){left_out} ORDER BY seq LIMIT {_AT_ONCE}"
    ).fetchall()
    return f"seq IN ({', '.join(str(seq) for (seq,) in rows)})" if rows else None, False


def _left_out(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the condition, if any, that leaves out what was set aside."""
    refused = f"FROM ops.rejects WHERE {_REFUSED} AND replayed_at IS NULL"
    if not exists(connection, refused):
        return ""
    return f" AND delivery_id NOT IN (SELECT {REFUSED_ID} {refused})"


def _read(connection: duckdb.DuckDBPyConnection, kind: str, which: str) -> None:
    """Make the relation ``records`` that the model of a kind reads."""
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW records AS SELECT delivery_id, seq, channel_id, "
        "conversation_id, received_at, is_stated, "
        "coalesce(payload, TRY_CAST(body AS JSON)) AS payload "
        f"FROM raw.webhook_events WHERE kind = '{kind}' AND {which}"
    )


def catch_up(connection: duckdb.DuckDBPyConnection, seen: int | None) -> int:
    """Type what is new, in this transaction, and take over receive times that became earlier.

    Args:
        connection: inside a transaction.
        seen: what this function returned in the transaction before, `TYPED` in the first after
            `type_all`, None where that did not precede.

    Returns:
        The snapshot that was looked at: `seen`, if no other process has written since.
    """
    current, ours = connection.execute(
        "SELECT (SELECT id FROM wh.current_snapshot()), "
        "(SELECT id FROM wh.last_committed_snapshot())"
    ).fetchone() or (None, None)
    if seen is not None and current in (seen, ours):
        return seen
    type_rest(connection)
    _take_over_receive_times(connection)
    return int(current or 0)


def type_rest(connection: duckdb.DuckDBPyConnection, *, notes: bool = True) -> int:
    """Type all deliveries that are not; return how many there were.

    Args:
        connection: inside a transaction.
        notes: whether to note what they make outdated.
    """
    total = 0
    while (which := _next(connection)[0]) and (
        typed := _type_those(connection, which, notes=notes)
    ):
        total += typed
    return total


def _type_those(connection: duckdb.DuckDBPyConnection, which: str, *, notes: bool = True) -> int:
    """Type the deliveries for which a condition holds; return how many there were."""
    which += _left_out(connection)
    numbers = connection.execute(
        f"SELECT kind, count(*) FROM raw.webhook_events WHERE {_OUR_KINDS} AND {which} GROUP BY ALL"
    ).fetchall()
    for kind, number in numbers:
        _type(connection, kind, which, is_few=number <= _FEW, notes=notes)
    return sum(number for _, number in numbers)


def _type(
    connection: duckdb.DuckDBPyConnection, kind: str, which: str, *, is_few: bool, notes: bool
) -> None:
    """Type the deliveries of a kind, and note what they make outdated."""
    table, _ = _KINDS[kind]
    _read(connection, kind, which)
    rows = f"SELECT * FROM {table} WHERE {which}"
    typed = model(table).select
    if is_few:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE typed AS {typed}")
        rows, typed = "SELECT * FROM typed", "FROM typed"
    connection.execute(f"INSERT INTO {table} BY NAME {typed}")
    if kind == "message" and (known := known_ids.of(connection)):
        known.typed |= {
            seq for (seq,) in connection.execute(f"SELECT seq FROM ({rows})").fetchall()
        }
    if notes:
        _note(connection, kind, rows)
    drift.note_codes(connection, STREAM, model(table), f"({rows})", "delivery_id")


def mark_received(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Note deliveries whose receive time changed after they were stored.

    Args:
        connection: inside the transaction that changed it.
        rows: a SELECT of their ``delivery_id``, as ``key``.
    """
    invalidation.mark(connection, "merge", "received", rows)


def _take_over_receive_times(connection: duckdb.DuckDBPyConnection) -> None:
    """Bodies received again, with a better receive time, which is noted of each."""
    noted = f"FROM {staging.marks(connection)} WHERE consumer = 'merge' AND kind = 'received'"
    if not exists(connection, noted):
        return
    for kind, (table, _) in _KINDS.items():
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE earlier AS "
            "SELECT t.seq, r.received_at, r.is_stated FROM "
            f"(SELECT * FROM raw.webhook_events WHERE kind = '{kind}' "
            f"AND delivery_id IN (SELECT key {noted})) r JOIN {table} t USING (delivery_id) "
            "WHERE r.received_at <> t.received_at "
            "OR (r.is_stated IS NOT FALSE) <> (t.is_stated IS NOT FALSE)"
        )
        if not exists(connection, "FROM earlier"):
            continue
        connection.execute(
            f"UPDATE {table} SET received_at = e.received_at, is_stated = e.is_stated "
            f"FROM earlier e WHERE {table}.seq = e.seq"
        )
        rows = f"SELECT * FROM {table} WHERE seq IN (SELECT seq FROM earlier)"
        _note(connection, kind, rows)
        if known := known_ids.of(connection):
            known.received_earlier |= {
                seq for (seq,) in connection.execute("SELECT seq FROM earlier").fetchall()
            }
    connection.execute(f"DELETE {noted}")


def _note(connection: duckdb.DuckDBPyConnection, kind: str, rows: str) -> None:
    """Note what typed deliveries make outdated."""
    keys = {what: f"SELECT {key} AS key FROM ({rows})" for what, key in _KINDS[kind][1].items()}
    invalidation.mark_all(connection, "merge", keys)
