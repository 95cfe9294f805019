"""What a transaction of the merge takes: places that are marked, and the rows that can interact.

Temporary relations: ``chosen``, the places (`warehouse.merge.clusters`) by ``key``;
``gathered_events`` and ``gathered_statuses``, the events and deliveries there, for the merge of
messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from warehouse.lake import invalidation
from warehouse.lake.sql import exists
from warehouse.merge.batches import AT_ONCE
from warehouse.merge.clusters import Ties, find_ties, tied_to
from warehouse.merge.write import given_only, narrowed, rows_of

#: Rows that a transaction should not exceed by much.
_ROWS = 100_000
IS_EDIT = "coalesce(message_type IN ('message_edited', 'message_deleted'), false)"


def choose(connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None) -> bool:
    """Take keys into ``chosen``, as many as hold a bounded number of rows, at least one."""
    where, given = given_only(keys)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS SELECT DISTINCT key FROM ops.outdated "
        f"WHERE consumer = 'merge' AND kind IN ('conversation', 'delivery') {where}"
        f"ORDER BY key LIMIT {AT_ONCE}",
        given,
    )
    of_chosen = narrowed(connection, "conversation_id", "chosen")
    if of_chosen is None:
        return False
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE chosen AS
        WITH rows AS (
            SELECT conversation_id AS key FROM core.timeline_events WHERE {of_chosen}
            UNION ALL
            SELECT conversation_id FROM core.message_statuses WHERE {of_chosen}
        ), sizes AS (SELECT key, count(*) AS size FROM rows GROUP BY key)
        SELECT key FROM chosen LEFT JOIN sizes USING (key)
        QUALIFY sum(coalesce(size, 1)) OVER (ORDER BY key) - coalesce(size, 1) < {_ROWS}
        """
    )
    return True


def gather_with_ties(connection: duckdb.DuckDBPyConnection, ties: Ties | None) -> Ties | None:
    """Fetch what is chosen and all it is tied to; return the ties of the lake, if they are known.

    Looking for all of them pays when more is noted than was chosen.
    """
    if ties is None and _is_more_noted(connection):
        ties = find_ties(connection)
    if ties is not None:
        _widen(connection, ties.around(_chosen(connection)))
        _gather(connection)
        return ties
    _gather(connection)
    ids = (
        "SELECT event_id FROM gathered_events "
        "UNION SELECT unnest([event_id, wamid]) FROM gathered_statuses"
    )
    while _widen(connection, tied_to(connection, ids)):
        _gather(connection)
    return None


def _is_more_noted(connection: duckdb.DuckDBPyConnection) -> bool:
    return exists(
        connection,
        "FROM ops.outdated WHERE consumer = 'merge' "
        "AND kind IN ('conversation', 'delivery') AND key NOT IN (SELECT key FROM chosen)",
    )


def _chosen(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {key for (key,) in connection.execute("SELECT key FROM chosen").fetchall()}


def _widen(connection: duckdb.DuckDBPyConnection, places: set[str]) -> bool:
    """Choose these places, too; return whether there were new ones among them."""
    more = sorted(places - _chosen(connection))
    if more:
        connection.execute("INSERT INTO chosen SELECT unnest(?)", [more])
    return bool(more)


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Fetch the events and deliveries of the chosen places."""
    events = (
        "SELECT event_id, conversation_id, contact_id, channel_id, direction, occurred_at, status, "
        "error_code, failure_reason, is_ai, attachment_url, owner_user_id, ai_agent_id, body, "
        "latitude, longitude, deleted_at FROM core.timeline_events WHERE source = 'whatsapp'"
    )
    of_places = rows_of(connection, events, "conversation_id", "chosen")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE gathered_events AS {of_places}")
    deliveries_of = "SELECT * FROM core.message_statuses WHERE true"
    of_places = rows_of(connection, deliveries_of, "conversation_id", "chosen")
    loose = "conversation_id IS NULL AND delivery_id IN (SELECT key FROM chosen)"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered AS "
        f"{of_places} UNION ALL SELECT * FROM core.message_statuses WHERE {loose}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE shared_event_ids AS SELECT event_id FROM gathered "
        f"WHERE event_id IS NOT NULL AND NOT {IS_EDIT} GROUP BY event_id HAVING "
        "min(wamid) <> max(wamid) OR min(conversation_id) <> max(conversation_id)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_statuses AS "
        "SELECT gathered.*, n, message_key AS stored_key, "
        f"{IS_EDIT} AS is_edit, coalesce(event_id NOT IN (FROM shared_event_ids), true) "
        "AS is_event_id FROM gathered JOIN ("
        "SELECT seq, row_number() OVER (ORDER BY received_at, delivery_id) AS n FROM gathered"
        ") USING (seq)"
    )


def mark_left_behind(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark deliveries of a message that is gone, which were not among what was merged.

    They name the id of an event that is no message any more, and belong to another conversation,
    or to none: they are a message of their own again. Reads ``stored`` and ``merged_rows``
    (`warehouse.merge.write`).
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE vanished AS "
        "SELECT message_key FROM stored EXCEPT "
        "SELECT message_key FROM merged_rows"
    )
    if not exists(connection, "FROM vanished"):
        return
    left = (
        "FROM core.message_statuses WHERE message_key IN (FROM vanished) "
        "AND seq NOT IN (SELECT seq FROM gathered_statuses)"
    )
    for kind, key, which in (
        ("conversation", "conversation_id", "conversation_id IS NOT NULL"),
        ("delivery", "delivery_id", "conversation_id IS NULL"),
    ):
        invalidation.mark(connection, "merge", kind, f"SELECT {key} AS key {left} AND {which}")
