"""Webhook deliveries typed once: from ``raw.webhook_events`` to a table a kind, and noted.

Merging reads typed columns. Each delivery is typed when it is met first; later only the time it was
received can change, to an earlier one, when the same body turns up again.
"""

from __future__ import annotations

import duckdb

from warehouse.lake import invalidation
from warehouse.lake.connection import Lake
from warehouse.models.model import model

#: The table of each kind, and which kind of thing a delivery makes outdated, named by what.
#: A message without a conversation stands for itself until others tell where it belongs.
_KINDS = {
    "message": (
        "core.message_statuses",
        {
            "conversation": "conversation_id",
            "delivery": "CASE WHEN conversation_id IS NULL THEN delivery_id END",
        },
    ),
    "call": ("core.call_statuses", {"call": "call_id"}),
    "ivr": ("core.ivr_statuses", {"ivr": "ivr_id"}),
}
_TABLES = [table for table, _ in _KINDS.values()]
_OUR_KINDS = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in _KINDS))

#: Deliveries typed in one transaction.
_AT_ONCE = 100_000


def type_all(lake: Lake) -> int:
    """Type what is new, in bounded transactions; return how many deliveries."""
    total = 0
    while typed := lake.write("type webhook deliveries", type_new):
        total += typed
    return total


def catch_up(connection: duckdb.DuckDBPyConnection, seen: int | None) -> int:
    """Type what is new, in this transaction, and take over receive times that became earlier.

    Args:
        connection: inside a transaction.
        seen: what this function returned in the transaction before, None in the first.

    Returns:
        The snapshot that was looked at: `seen`, if nobody else has written since.
    """
    current, ours = connection.execute(
        "SELECT (SELECT id FROM wh.current_snapshot()), "
        "(SELECT id FROM wh.last_committed_snapshot())"
    ).fetchone() or (None, None)
    if seen is not None and current in (seen, ours):
        return seen
    while type_new(connection):
        pass
    _take_over_receive_times(connection)
    return int(current or 0)


def type_new(connection: duckdb.DuckDBPyConnection) -> int:
    """Type the next deliveries and note what they make outdated; return how many there were."""
    typed_to = _number(
        connection,
        "SELECT greatest({})".format(
            ", ".join(f"(SELECT coalesce(max(seq), 0) FROM {table})" for table in _TABLES)
        ),
    )
    first = _number(
        connection,
        f"SELECT coalesce(min(seq), 0) FROM raw.webhook_events WHERE {_OUR_KINDS} "
        f"AND seq > {typed_to}",
    )
    if not first:
        return 0
    slice_of = f"seq BETWEEN {first} AND {first + _AT_ONCE - 1}"
    typed = 0
    for kind, (table, _) in _KINDS.items():
        # A body that is no JSON for DuckDB is for the reader of files to set aside, not to fail us.
        connection.execute(
            "CREATE OR REPLACE TEMP VIEW records AS SELECT delivery_id, seq, channel_id, "
            "conversation_id, received_at, coalesce(payload, TRY_CAST(body AS JSON)) AS payload "
            f"FROM raw.webhook_events WHERE kind = '{kind}' AND {slice_of}"
        )
        connection.execute(f"INSERT INTO {table} BY NAME {model(table).select}")
        typed += _note(connection, kind, f"SELECT * FROM {table} WHERE {slice_of}")
    return typed


def _take_over_receive_times(connection: duckdb.DuckDBPyConnection) -> None:
    """A body received again, earlier: sums tell where, since times only ever become earlier."""
    typed = " UNION ALL ".join(f"SELECT seq, received_at FROM {table}" for table in _TABLES)
    sums = (
        f"SELECT seq // {_AT_ONCE} AS slice, sum(epoch_us(received_at)) AS total "
        "FROM ({}) GROUP BY slice"
    )
    raw = f"SELECT seq, received_at FROM raw.webhook_events WHERE {_OUR_KINDS}"
    slices = connection.execute(
        f"SELECT slice FROM ({sums.format(raw)}) r JOIN ({sums.format(typed)}) t USING (slice) "
        "WHERE r.total <> t.total ORDER BY slice"
    ).fetchall()
    for (number,) in slices:
        slice_of = f"seq BETWEEN {number * _AT_ONCE} AND {(number + 1) * _AT_ONCE - 1}"
        for kind, (table, _) in _KINDS.items():
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE earlier AS SELECT seq, r.received_at FROM "
                f"(SELECT * FROM raw.webhook_events WHERE kind = '{kind}' AND {slice_of}) r JOIN "
                f"(SELECT * FROM {table} WHERE {slice_of}) t USING (seq) "
                "WHERE r.received_at <> t.received_at"
            )
            connection.execute(
                f"UPDATE {table} SET received_at = e.received_at FROM earlier e "
                f"WHERE {table}.seq = e.seq"
            )
            _note(connection, kind, f"SELECT * FROM {table} WHERE seq IN (SELECT seq FROM earlier)")


def _note(connection: duckdb.DuckDBPyConnection, kind: str, rows: str) -> int:
    """Note what typed deliveries make outdated; return how many these are."""
    found = _number(connection, f"SELECT count(*) FROM ({rows})")
    if found:
        for what, key in _KINDS[kind][1].items():
            invalidation.mark(connection, "merge", what, f"SELECT {key} AS key FROM ({rows})")
    return found


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
