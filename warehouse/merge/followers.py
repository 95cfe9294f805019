"""What makes merged rows outdated though their own sources stay as they are.

Which conversations a contact has, which users are AI agents, and this version's SQL: each is
compared with what was merged last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb
from xxhash import xxh3_128_hexdigest

from warehouse.lake import invalidation
from warehouse.lake.sql import exists, keep_home_values, literal
from warehouse.models.model import macros, merge_sql, merged_models

# A call known from webhooks alone belongs to the only conversation of its contact and channel.
_RESOLVED = """
    WITH pairs AS (
        SELECT contact_id, channel_id, min(conversation_id) AS conversation_id
        FROM core.conversations
        WHERE contact_id IN (SELECT contact_id FROM core.calls WHERE NOT in_timeline)
        GROUP BY contact_id, channel_id HAVING count(*) = 1
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


def remember_version(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    """Keep the fingerprint of this version's SQL, unless ``ops.home`` has it among `values`."""
    if values.get("merge") != fingerprint():
        keep_home_values(connection, {"merge": fingerprint()})


def mark(connection: duckdb.DuckDBPyConnection, before: str | None) -> None:
    """Mark what these things made outdated since the merge before; inside a transaction.

    Args:
        connection: to the lake.
        before: the AI agents among the users at that time, as JSON.
    """
    if exists(connection, "FROM core.calls WHERE NOT in_timeline"):
        invalidation.mark(connection, "merge", "call", _RESOLVED)
    users = sorted(
        user
        for (user,) in connection.execute(
            "SELECT user_id FROM core.users WHERE is_ai_agent"
        ).fetchall()
    )
    if before == json.dumps(users):
        return
    changed = set(users) ^ set(json.loads(before or "[]"))
    listed = ", ".join(literal(user) for user in sorted(changed) if "\0" not in user)
    if listed:
        rows = _SENT_BY.format(kind="delivery", users=listed)
        for kind in ("conversation", "delivery"):
            keys = f"SELECT key FROM ({rows}) WHERE kind = '{kind}'"
            invalidation.mark(connection, "merge", kind, keys)
    keep_home_values(connection, {"ai_users": json.dumps(users)})
