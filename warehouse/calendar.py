"""Local days and business time as SQL: what the marts ask of the settings' time zone and hours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import duckdb
import pyarrow as pa

from hatif.business_hours import offsets, open_intervals
from hatif.settings import Settings

# Beyond these the offset of the nearest instant within holds and nobody is at work: an event dated
# there is a mistake of somebody's clock.
_FIRST = datetime(1990, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Span = tuple[datetime, datetime]


def span(connection: duckdb.DuckDBPyConnection) -> Span:
    """Return the instants between which messages and calls lie, with room for new ones."""
    first, last = connection.execute(
        "SELECT min(first), max(last) FROM ("
        "SELECT min(sent_at) AS first, max(sent_at) AS last FROM core.messages "
        "WHERE sent_at BETWEEN $first AND $last UNION ALL "
        "SELECT min(started_at), max(started_at) FROM core.calls "
        "WHERE started_at BETWEEN $first AND $last)",
        {"first": _FIRST, "last": _LAST},
    ).fetchone() or (None, None)
    now = datetime.now(UTC)
    first, last = first or now, max(last or now, now)
    begin = max(first - timedelta(days=2), _FIRST).replace(microsecond=0)
    return begin, min(last + timedelta(days=2), _LAST).replace(microsecond=0)


def install(connection: duckdb.DuckDBPyConnection, settings: Settings, span: Span) -> None:
    """Make ``local_date(instant)`` and the table ``temp.business`` for instants of the span.

    ``business`` holds the stretches of business time: opens_at, closes_at, and before_us, the
    business microseconds of the span before it.
    """
    begin, end = span
    changes = offsets(settings.timezone, begin, end)
    branches = "".join(
        f"WHEN epoch_us(t) < {_us(at)} THEN {offset // _MICROSECOND} "
        for (_, offset), (at, _) in pairwise(changes)
    )
    last = changes[-1][1] // _MICROSECOND
    shift = f"CASE {branches}ELSE {last} END" if branches else str(last)
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO local_date(t) AS "
        f"DATE '1970-01-01' + ((epoch_us(t) + {shift}) // 86400000000)::INTEGER"
    )
    opens, closes, before, total = [], [], [], timedelta(0)
    for opened, closed in open_intervals(
        settings.business_hours, settings.holidays, settings.timezone, begin, end
    ):
        opens.append(opened)
        closes.append(closed)
        before.append(total // _MICROSECOND)
        total += closed - opened
    instant = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "opens_at": pa.array(opens, instant),
            "closes_at": pa.array(closes, instant),
            "before_us": pa.array(before, pa.int64()),
        }
    )
    with lent(connection, "business_rows", table):
        connection.execute("CREATE OR REPLACE TEMP TABLE business AS FROM business_rows")


@contextmanager
def lent(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let SQL see a table under a name."""
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def bounds(first: date, last: date) -> Span:
    """Return instants between which the local days from first to last lie, in any zone."""
    begin = datetime.combine(first, time(), UTC) - timedelta(days=1)
    return begin, datetime.combine(last, time(), UTC) + timedelta(days=2)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
