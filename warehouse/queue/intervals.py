"""How long a list need not be read again: the longer its contents have stayed the same, the longer.

A quarter of the time since a reading last brought something, as HTTP caches reckon with a tenth
where nothing is stated (RFC 9111, 4.2.2); never more than `LONGEST`. Only for the short lists that
every run would read else, in scheduled runs, and not where HATIF_INTERVALS sets their interval.
What names a record that such a list lacks makes it due at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from hatif.streams import STREAMS
from warehouse.lake.sql import seconds
from warehouse.models.model import main_model

#: The longest interval that is learned.
LONGEST = timedelta(hours=8)
_SHARE = 0.25
#: SQL over a cursor ``c`` and ``now``: a list's interval in seconds.
LEARNED = (
    f"least({LONGEST.total_seconds()}, {_SHARE} * coalesce(epoch(now) - epoch(c.changed_at), 0))"
)
#: When a record was last in use whose list lacks it, by the list's stream.
_LACKING = {
    "users": """
        SELECT max(last_activity_at) FROM core.conversations
        WHERE assignee_user_id NOT IN (SELECT user_id || '' FROM core.users)""",
    "tags": """
        SELECT max(last_activity_at) FROM core.conversations
        WHERE conversation_id IN (SELECT conversation_id FROM core.conversation_tags
            WHERE tag_id NOT IN (SELECT tag_id || '' FROM core.tags))""",
    "property_definitions": """
        SELECT max(modified_at) FROM core.contacts
        WHERE contact_id IN (SELECT contact_id FROM core.contact_properties
            WHERE property_id NOT IN (SELECT property_id || '' FROM core.property_definitions))""",
    "channels": """
        SELECT max(received_at) FROM raw.webhook_events
        WHERE channel_id NOT IN (SELECT channel_id || '' FROM core.channels)""",
}


def may_learn(stream: str) -> bool:
    """Whether intervals between whole readings of the stream's lists follow what they find."""
    return not main_model(stream).signals and STREAMS[stream].interval == timedelta()


def lacks_records(stream: str) -> str:
    """Return SQL over a cursor ``c``: whether its list lacks what was in use since its reading.

    What is gone from the list and still in use makes it due in every run.
    """
    latest = _LACKING.get(stream)
    return f"(({latest}) > c.read_at) IS TRUE" if latest else "false"


def brought(stream: str) -> str:
    """Return SQL over a certificate ``a``: whether its reading stored anything new.

    A reading stores its rows in batches; the last of them has its certificate.
    """
    if not may_learn(stream):
        return "NULL::BOOLEAN"
    return (
        f"(a.scan_id IN (SELECT scan_id FROM raw.records WHERE stream = '{stream}' "
        "AND fetched_at >= (SELECT min(started_at) FROM certified) "
        f"- {seconds(timedelta(days=1))}))"
    )


def of_lists(connection: duckdb.DuckDBPyConnection, stream: str, now: datetime) -> timedelta | None:
    """Return the shortest interval that was learned for a list of the stream, None where none is.

    Args:
        connection: for reading; nothing is bound, see `warehouse.queue.plan`.
        stream: whose lists.
        now: the service's time.
    """
    if not may_learn(stream):
        return None
    row = connection.execute(
        f"SELECT min({LEARNED}) FROM ops.cursors c, "
        f"(SELECT TIMESTAMPTZ '{now.isoformat()}' AS now) "
        f"WHERE stream = '{stream}' AND whole_at IS NOT NULL"
    ).fetchone()
    return timedelta(seconds=int(row[0])) if row and row[0] is not None else None
