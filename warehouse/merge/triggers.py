"""Merged rows that became outdated without a delivery or an event of theirs changing.

A merged row also follows from other things: which conversations a contact has, which users are AI
agents, and the SQL of this version. These are compared with what was merged last.
"""

from __future__ import annotations

import json

import duckdb
from xxhash import xxh3_128_hexdigest

from warehouse.lake import home_values, invalidation
from warehouse.lake.sql import exists, literal
from warehouse.models.model import macros, merge_sql, merged_models

# A call known from webhooks alone belongs to the only conversation of its contact and channel.
_RESOLVED = """
    WITH pairs AS (
        SELECT contact_id, channel_id, min(conversation_id) AS conversation_id
        FROM core.conversations GROUP BY contact_id, channel_id HAVING count(*) = 1
    )
    SELECT call_key AS key
    FROM core.calls c
    LEFT JOIN pairs p ON p.contact_id = c.contact_id AND p.channel_id = c.channel_id
    WHERE NOT c.in_timeline AND c.conversation_id IS DISTINCT FROM p.conversation_id
"""
_SENT_BY = """
    SELECT CASE WHEN conversation_id IS NULL THEN '{kind}' ELSE 'conversation' END AS kind,
        coalesce(conversation_id, delivery_id) AS key
    FROM core.message_statuses WHERE sender_user_id IN ({users})
"""


def fingerprint() -> str:
    """Return what distinguishes rows merged by this version's SQL from others."""
    sql = "".join(model.select for model in merged_models())
    return xxh3_128_hexdigest(f"{sql}{merge_sql()}{macros()}".encode())


def is_of_another_version(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anything was merged by another version's SQL."""
    if home_values.read(connection, "merge") == fingerprint():
        return False
    return any(exists(connection, f"FROM {model.table}") for model in merged_models())


def remember_version(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep the fingerprint of this version's SQL."""
    if home_values.read(connection, "merge") != fingerprint():
        home_values.keep(connection, {"merge": fingerprint()})


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark what these things made outdated since the merge before; inside a transaction."""
    invalidation.mark(connection, "merge", "call", _RESOLVED)
    users = sorted(
        user
        for (user,) in connection.execute(
            "SELECT user_id FROM core.users WHERE is_ai_agent"
        ).fetchall()
    )
    before = home_values.read(connection, "ai_users")
    if before == json.dumps(users):
        return
    changed = set(users) ^ set(json.loads(before or "[]"))
    listed = ", ".join(literal(user) for user in sorted(changed) if "\0" not in user)
    if listed:
        rows = _SENT_BY.format(kind="delivery", users=listed)
        for kind in ("conversation", "delivery"):
            keys = f"SELECT key FROM ({rows}) WHERE kind = '{kind}'"
            invalidation.mark(connection, "merge", kind, keys)
    home_values.keep(connection, {"ai_users": json.dumps(users)})
