"""What must hold of merged tables, compared with little memory: by digests of keys."""

from __future__ import annotations

import duckdb

from warehouse.lake import invalidation, staging
from warehouse.lake.sql import among, exists, scalar

#: Share of the messages known to both sides above which the 2 s rule fires too often.
JOINED_BY_TIME_SHARE = 0.01
_COUNT = "SELECT count(*) FROM core.messages WHERE"


def marked(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the condition on rows that they are of conversations whose marts are outdated."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE marked_conversations AS SELECT DISTINCT key "
        f"FROM {staging.marks(connection)} WHERE consumer = 'marts' AND kind = 'conversation'"
    )
    if exists(connection, "FROM marked_conversations WHERE contains(key, chr(0))"):
        # As an expression: DuckLake would look for files by the column, and its catalog refuses it.
        return (
            f"coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') "
            "IN (SELECT key FROM marked_conversations)"
        )
    has_loose = exists(
        connection, f"FROM marked_conversations WHERE key = '{invalidation.NO_CONVERSATION}'"
    )
    of_marked = among(connection, "conversation_id", "key", "marked_conversations") or "false"
    return f"({of_marked} OR conversation_id IS NULL)" if has_loose else of_marked


def events_without_message(connection: duckdb.DuckDBPyConnection) -> int:
    """Return by how many rows WhatsApp events and messages in timelines differ.

    Where the numbers agree and the sets do not, it returns 1. One statement, so one snapshot; 0
    while events wait to be merged, as beside a sync under way.
    """
    fingerprint = "SELECT count(*) AS rows, bit_xor(md5_number({})) AS keys FROM {} WHERE {}"
    events = fingerprint.format("event_id", "core.timeline_events", "source = 'whatsapp'")
    messages = fingerprint.format("message_key", "core.messages", "in_timeline")
    return scalar(
        connection,
        # What is still to be merged is on its way.
        "SELECT CASE WHEN EXISTS (FROM ops.outdated WHERE consumer = 'merge') THEN 0 "
        "WHEN e.rows <> m.rows THEN abs(e.rows - m.rows) "
        "WHEN e.keys IS DISTINCT FROM m.keys THEN 1 ELSE 0 END "
        f"FROM ({events}) e, ({messages}) m",
    )


def joined_by_time(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Return how many messages the 2 s rule joined, and how many both sides know."""
    return (
        scalar(connection, f"{_COUNT} is_joined_by_time"),
        scalar(connection, f"{_COUNT} in_timeline AND in_webhooks"),
    )


def webhook_coverage(connection: duckdb.DuckDBPyConnection) -> float:
    """Return the share, 0 to 1, of the timelines' messages that webhooks have; 1 of none."""
    of_timelines = scalar(connection, f"{_COUNT} in_timeline")
    _, known_to_both = joined_by_time(connection)
    return round(known_to_both / of_timelines, 6) if of_timelines else 1.0


def without_time(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many messages and calls have no time, so that no day of a mart holds them."""
    return scalar(
        connection,
        f"SELECT ({_COUNT} sent_at IS NULL) "
        "+ (SELECT count(*) FROM core.calls WHERE started_at IS NULL)",
    )
