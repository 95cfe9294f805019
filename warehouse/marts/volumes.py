"""Volumes and allowances: which messages of a month lie beyond the n-th that is charged.

Rates that begin at a volume, and messages that are free for a channel and month, are decided by the
order of all charged messages of the month. What is kept of that order is where it crosses a
threshold of the rate card: ``ops.price_boundaries`` names the n-th charged message of each counter
(a market and category, or a channel and category) and month. A message lies beyond a threshold
where it comes after that one, by (charged_at, message_key).

So a message that arrives late moves boundaries, and only what lies between a boundary's old and new
place is priced again: conversations with such messages are marked for the consumer ``prices``.
"""

from __future__ import annotations

import duckdb
from xxhash import xxh3_128_hexdigest

from warehouse.lake import invalidation
from warehouse.lake.sql import exists, home_value, keep_home_values

#: The mart whose prices depend on volumes, and the step with the messages that are being priced.
MART = "marts.message_costs"
STEP = "charged_messages"

#: What decides by which counters a message is counted, beside its charge.
_COUNTED = "message_key, charged_at, billed_month, market, country, category, channel_id"
_LIES_IN_SCOPE = (
    "(coalesce(conversation_id, '') IN (SELECT conversation_id FROM conversations_in_scope))"
)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Count everything anew where the thresholds of the rate card are others than before."""
    (now,) = connection.execute(
        "SELECT coalesce(string_agg(c::VARCHAR, ';' ORDER BY c::VARCHAR), '') FROM rate_counters c"
    ).fetchall()[0]
    fingerprint = xxh3_128_hexdigest(now.encode())
    if fingerprint == (home_value(connection, "counters") or xxh3_128_hexdigest(b"")):
        return
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE counted AS SELECT {_COUNTED} FROM {MART} "
        "WHERE confidence = 'flagged' AND billed_month IS NOT NULL"
    )
    _count(connection)
    connection.execute("DELETE FROM ops.price_boundaries")
    connection.execute("INSERT INTO ops.price_boundaries BY NAME FROM boundaries_found")
    _drop(connection, "counted")
    keep_home_values(connection, {"counters": fingerprint})


def bring_up(connection: duckdb.DuckDBPyConnection, consumer: str) -> None:
    """Move the boundaries by what is being priced, and make ``price_boundaries`` for its months.

    Args:
        connection: inside the transaction; `STEP` is made, `MART` holds the old rows still.
        consumer: for whom conversations are marked that are priced otherwise now.
    """
    if exists(connection, "FROM rate_counters"):
        _find_changed_months(connection)
        if exists(connection, "FROM months_changed"):
            _move(connection, consumer)
        _drop(connection, "counted_before", "counted_now")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE price_boundaries AS FROM ops.price_boundaries "
        f"WHERE month IN (SELECT billed_month FROM {STEP})"
    )


def _drop(connection: duckdb.DuckDBPyConnection, *tables: str) -> None:
    """Free the memory of temporary tables when the transaction ends."""
    for name in tables:
        connection.execute(f"DROP TABLE temp.{name}")


def _find_changed_months(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``months_changed``: in which other messages are counted than before."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted_before AS "
        f"SELECT {_COUNTED} FROM {MART} WHERE confidence = 'flagged' AND {_LIES_IN_SCOPE}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted_now AS "
        f"SELECT {_COUNTED} FROM {STEP} WHERE is_charged"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE months_changed AS "
        "SELECT DISTINCT billed_month AS month FROM ("
        "(FROM counted_before EXCEPT FROM counted_now) UNION ALL "
        "(FROM counted_now EXCEPT FROM counted_before)) WHERE billed_month IS NOT NULL"
    )


def _move(connection: duckdb.DuckDBPyConnection, consumer: str) -> None:
    """Count the changed months anew, and mark conversations between old and new boundaries."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted AS "
        f"SELECT {_COUNTED} FROM {MART} WHERE confidence = 'flagged' "
        f"AND billed_month IN (FROM months_changed) AND NOT {_LIES_IN_SCOPE} "
        "UNION ALL FROM counted_now WHERE billed_month IN (FROM months_changed)"
    )
    _count(connection)
    _drop(connection, "counted")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE boundaries_before AS FROM ops.price_boundaries "
        "WHERE month IN (FROM months_changed)"
    )
    connection.execute(
        # A boundary that is not reached lies after every message.
        "CREATE OR REPLACE TEMP TABLE boundaries_moved AS SELECT "
        "kind, market, country, category, channel_id, month, "
        "least(o.place, n.place) AS first, "
        "CASE WHEN o.place IS NOT NULL AND n.place IS NOT NULL THEN greatest(o.place, n.place) END "
        "AS last "
        "FROM (SELECT *, {'at': charged_at, 'key': message_key} AS place FROM boundaries_before) o "
        "FULL JOIN "
        "(SELECT *, {'at': charged_at, 'key': message_key} AS place FROM boundaries_found) n "
        "USING (kind, market, country, category, channel_id, month, threshold) "
        "WHERE o.place IS DISTINCT FROM n.place"
    )
    if not exists(connection, "FROM boundaries_moved"):
        return
    invalidation.mark(
        connection,
        consumer,
        "conversation",
        f"SELECT coalesce(c.conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
        f"FROM {MART} c JOIN boundaries_moved b ON b.month = c.billed_month "
        "AND b.market IN ('*', c.market) AND b.country IN ('*', c.country) "
        "AND (b.category IN ('*', c.category) OR c.category = 'unknown') "
        "AND (b.kind = 'volume' OR b.channel_id = coalesce(c.channel_id, '')) "
        "AND {'at': c.charged_at, 'key': c.message_key} >= b.first "
        "AND (b.last IS NULL OR {'at': c.charged_at, 'key': c.message_key} <= b.last) "
        f"WHERE NOT {_LIES_IN_SCOPE}",
    )
    connection.execute("DELETE FROM ops.price_boundaries WHERE month IN (FROM months_changed)")
    connection.execute("INSERT INTO ops.price_boundaries BY NAME FROM boundaries_found")


def _count(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``boundaries_found`` of ``counted``: the message at each threshold of each counter."""
    connection.execute(
        # A counter's number stands for what it counts by: numbers are sorted faster than texts.
        "CREATE OR REPLACE TEMP TABLE boundaries_found AS WITH counters AS ("
        "SELECT row_number() OVER () AS counter, * FROM "
        "(SELECT DISTINCT kind, market, country, category FROM rate_counters)"
        "), kinds AS ("
        "SELECT k.*, c.counter, c.kind = 'free' AS is_by_channel FROM "
        "(SELECT DISTINCT market, country, category FROM counted) k JOIN counters c "
        "ON c.market IN ('*', k.market) AND c.country IN ('*', k.country) "
        "AND c.category IN ('*', k.category)"
        "), placed AS ("
        "SELECT k.counter, "
        "CASE WHEN k.is_by_channel THEN coalesce(m.channel_id, '') ELSE '' END AS channel_id, "
        "m.billed_month AS month, m.charged_at, m.message_key "
        "FROM counted m JOIN kinds k ON k.market IS NOT DISTINCT FROM m.market "
        "AND k.country IS NOT DISTINCT FROM m.country AND k.category = m.category"
        "), numbered AS ("
        "SELECT *, row_number() OVER (PARTITION BY counter, channel_id, month "
        "ORDER BY charged_at, message_key) AS place FROM placed) "
        "SELECT c.kind, c.market, c.country, c.category, n.channel_id, n.month, r.threshold, "
        "n.charged_at, n.message_key FROM numbered n JOIN counters c ON c.counter = n.counter "
        "JOIN rate_counters r ON r.kind = c.kind AND r.market = c.market AND r.country = c.country "
        "AND r.category = c.category AND r.threshold = n.place"
    )
