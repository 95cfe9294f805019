"""The calls' half of the merge: what can interact, and the tables it ends in."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from warehouse.lake import staging
from warehouse.lake.sql import exists
from warehouse.merge import compute
from warehouse.merge.rows import Seen, given_only, narrowed, read_stored, write_differences
from warehouse.models.model import model

#: Notes taken in one transaction.
_AT_ONCE = 5_000

# All that a call can be confused with has its contact: calls in webhooks, events in timelines.
_INTERACTING = """
    SELECT unnest([{'kind': 'call', 'key': call_id}, {'kind': 'contact', 'key': contact_id}],
        recursive := true)
    FROM core.call_statuses
    WHERE call_id IN (SELECT key FROM reach WHERE kind = 'call')
        OR contact_id IN (SELECT key FROM reach WHERE kind = 'contact')
    UNION
    SELECT unnest([{'kind': 'call', 'key': identifier(source_id)},
        {'kind': 'contact', 'key': contact_id}, {'kind': 'event', 'key': event_id}],
        recursive := true)
    FROM core.timeline_events
    WHERE source = 'call' AND (source_id IN (SELECT key FROM reach WHERE kind = 'call')
        OR contact_id IN (SELECT key FROM reach WHERE kind = 'contact')
        OR conversation_id IN (SELECT key FROM chosen))
"""


def merge_some(
    seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
) -> tuple[int, Seen]:
    """Merge the calls that some notes name; return how many rows changed."""
    seen = seen.caught_up(connection)
    if not _choose(connection, "'calls', 'call'", keys):
        return 0, seen
    _reach(connection)
    compute.order_deliveries(
        connection,
        "FROM core.call_statuses WHERE call_id IN (SELECT key FROM reach WHERE kind = 'call')",
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_events AS SELECT * FROM core.timeline_events "
        "WHERE source = 'call' AND event_id IN (SELECT key FROM reach WHERE kind = 'event')"
    )
    compute.merge_calls(connection)
    calls = model("core.calls")
    strays = "SELECT key FROM reach WHERE kind IN ('call', 'event')"
    read_stored(connection, calls, column="conversation_id", strays=strays)
    changed = write_differences(connection, calls)
    _done(connection, "'calls', 'call'")
    return changed, seen


def merge_some_ivr(
    seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
) -> tuple[int, Seen]:
    """Merge the IVR calls that some notes name; return how many rows changed."""
    seen = seen.caught_up(connection)
    if not _choose(connection, "'ivr'", keys):
        return 0, seen
    compute.order_deliveries(
        connection, "FROM core.ivr_statuses WHERE ivr_id IN (SELECT key FROM chosen)"
    )
    compute.merge_ivr_calls(connection)
    table = model("core.ivr_calls")
    read_stored(connection, table, column="ivr_id", strays="SELECT key FROM chosen")
    changed = write_differences(connection, table)
    _done(connection, "'ivr'")
    return changed, seen


def _choose(connection: duckdb.DuckDBPyConnection, kinds: str, keys: Sequence[str] | None) -> bool:
    """Take marked keys of these kinds into ``chosen``; return whether there are any."""
    where, given = given_only(keys)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS SELECT kind, key "
        f"FROM {staging.marks(connection)} "
        f"WHERE consumer = 'merge' AND kind IN ({kinds}) {where}ORDER BY key LIMIT {_AT_ONCE}",
        given,
    )
    return exists(connection, "FROM chosen")


def _done(connection: duckdb.DuckDBPyConnection, kinds: str) -> None:
    connection.execute(
        f"DELETE FROM {staging.marks(connection)} WHERE consumer = 'merge' AND kind IN ({kinds}) "
        "AND key IN (SELECT key FROM chosen)"
    )


def _reach(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``reach``: all calls, events and contacts that what is chosen can interact with."""
    where = narrowed(connection, "conversation_id", "chosen")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE reach AS "
        "SELECT 'call' AS kind, key FROM chosen WHERE kind = 'call' UNION "
        f"SELECT 'call', call_key FROM core.calls WHERE {where} UNION "
        f"SELECT 'event', event_id FROM core.calls WHERE {where} UNION "
        f"SELECT 'contact', contact_id FROM core.calls WHERE {where}"
    )
    while True:
        grown = connection.execute(
            f"INSERT INTO reach SELECT kind, key FROM ({_INTERACTING}) WHERE key IS NOT NULL "
            "EXCEPT FROM reach"
        ).fetchone()
        if grown is None or not grown[0]:
            return
