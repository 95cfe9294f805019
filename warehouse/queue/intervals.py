"""How long a list need not be read again: the longer its contents have stayed the same, the longer.

A tenth of the time since a reading last brought something, as HTTP caches reckon where nothing is
stated (RFC 9111, 4.2.2); never less than the stream's own interval, nor more than `LONGEST`. Only
for lists that no change signal points to, in runs of every few minutes, and not where
HATIF_INTERVALS sets their interval.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from hatif.streams import STREAMS
from warehouse.lake.sql import seconds
from warehouse.models.model import main_model

#: The longest interval that is learned.
LONGEST = timedelta(hours=1)
_SHARE = 0.1


def may_learn(stream: str) -> bool:
    """Whether intervals between whole readings of the stream's lists follow what they find."""
    interval = STREAMS[stream].interval
    return not main_model(stream).signals and interval is not None and interval < LONGEST


def learned(stream: str) -> str:
    """Return SQL over a cursor ``c`` and ``now``: a list's interval in seconds."""
    own = (STREAMS[stream].interval or timedelta()).total_seconds()
    unchanged = "coalesce(epoch(now) - epoch(c.changed_at), 0)"
    return f"greatest({own}, least({LONGEST.total_seconds()}, {_SHARE} * {unchanged}))"


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
        f"SELECT min({learned(stream)}) FROM ops.cursors c, "
        f"(SELECT TIMESTAMPTZ '{now.isoformat()}' AS now) "
        f"WHERE stream = '{stream}' AND whole_at IS NOT NULL"
    ).fetchone()
    return timedelta(seconds=int(row[0])) if row and row[0] is not None else None
