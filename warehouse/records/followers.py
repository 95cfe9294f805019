"""Ids that an event copies from its conversation follow the conversation when it moves.

A conversation moves to another channel, or to the contact that its own was merged into; its events
are not sent again for that. The model of timeline events takes both ids from the conversation; here
the events that are stored already are typed again from raw. Temporary relations: ``moved``, the
conversations with their new contact, made before and read after the tables of the batch change;
``following``, their events as `warehouse.records.core_tables` wants them in ``changed``.
"""

from __future__ import annotations

import duckdb

from warehouse.lake import invalidation
from warehouse.lake.sql import exists
from warehouse.records import core_tables

_PARENT, _CHILD = "conversations", "timelines"


def find_moved(connection: duckdb.DuckDBPyConnection, stream: str) -> bool:
    """Compare ``typed`` with the rows that it will replace; return whether any record moved.

    A conversation that is stored after events of its own, as when it had been set aside, counts as
    moved where they name another contact or channel.
    """
    if stream != _PARENT:
        return False
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS "
        "SELECT t.conversation_id, t.contact_id, "
        "t.contact_id IS DISTINCT FROM c.contact_id AS is_merged "
        "FROM typed t JOIN core.conversations c USING (conversation_id) "
        "WHERE t.contact_id IS DISTINCT FROM c.contact_id "
        "OR t.channel_id IS DISTINCT FROM c.channel_id"
    )
    if exists(connection, "FROM core.timeline_events"):  # not so when a first sync begins
        connection.execute(
            "INSERT INTO moved SELECT DISTINCT t.conversation_id, t.contact_id, false "
            "FROM typed t JOIN core.timeline_events e USING (conversation_id) "
            "WHERE t.conversation_id NOT IN (SELECT conversation_id FROM core.conversations) "
            "AND (e.contact_id IS DISTINCT FROM coalesce(t.contact_id, e.contact_id) "
            "OR e.channel_id IS DISTINCT FROM coalesce(t.channel_id, e.channel_id))"
        )
    return exists(connection, "FROM moved")


def follow(connection: duckdb.DuckDBPyConnection) -> None:
    """Type the events of ``moved`` again, the conversations' new rows being stored.

    The contact that took a conversation over may have taken the other's history, too: its list is
    read again.
    """
    connection.execute(_FOLLOWING)
    connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM following")
    core_tables.type_records(connection, _CHILD)
    core_tables.retype(connection, _CHILD)
    invalidation.mark_records(connection, _CHILD, "following")
    connection.execute(
        "INSERT INTO ops.hints BY NAME SELECT DISTINCT 'contact_history' AS stream, "
        "contact_id AS parent_id, now() AS hinted_at, true AS whole "
        "FROM moved WHERE is_merged AND contact_id IS NOT NULL"
    )


_FOLLOWING = f"""
    CREATE OR REPLACE TEMP TABLE following AS
    SELECT
        record_id,
        max_by(parent_id, seq) AS parent_id,
        max_by(payload, seq) FILTER (WHERE op = 'upsert') AS payload,
        true AS was_known,
        CASE WHEN max_by(op, seq) = 'tombstone' THEN max_by(fetched_at, seq) END AS deleted_at
    FROM raw.records
    WHERE stream = '{_CHILD}' AND record_id IN (
        SELECT event_id FROM core.timeline_events
        WHERE conversation_id IN (SELECT conversation_id FROM moved)
    )
    GROUP BY record_id
"""
