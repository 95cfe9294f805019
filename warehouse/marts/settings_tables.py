"""Settings as SQL: local days, business time, rates, markets, the gap between sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import duckdb
import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from warehouse.lake.sql import exists
from warehouse.settings.business_hours import offsets, open_intervals
from warehouse.settings.environment import Settings
from warehouse.settings.markets import calling_codes
from warehouse.settings.rate_card import TEMPLATE_CATEGORIES

# Before and after these, one offset from UTC holds and no business time is known: an event dated
# there is the mistake of a clock. What is computed of it must not depend on when that is done.
_FIRST = datetime(1990, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: More than a zone's offset and the length of a day.
_ROOM = timedelta(days=2)
_LONGEST_MONTH = timedelta(days=31)
_INSTANT = pa.timestamp("us", "UTC")


def install(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make what the models read of the settings, for as long as the connection lives.

    That is ``local_date(instant)`` and ``billing_date(instant)``, NULL outside the calendar; the
    table ``business``, stretches of business time with opens_at, closes_at and before_us, the
    business microseconds before it; the tables ``rates``, ``rate_counters``, ``calling_codes``,
    ``templates`` and ``template_categories``; and the variable ``session_gap_us``.
    """
    begin, end = _span(connection)
    all_of_it = terms_of(settings), prices_of(settings), begin, end
    made_of = xxh3_128_hexdigest(repr(all_of_it).encode())
    if not _is_made_of(connection, made_of):
        _install_days(connection, "local_date", settings.timezone, begin, end)
        _install_days(connection, "billing_date", settings.bill_zone, begin, end)
        _install_business(connection, settings, begin, end)
        _install_rates(connection, settings)
        _install_templates(connection, settings)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE made_of AS SELECT '{made_of}' AS hash")
    gap = round(settings.session_gap_hours * 3_600_000_000)
    connection.execute(f"SET VARIABLE session_gap_us = {gap}")


def terms_of(settings: Settings) -> tuple[object, ...]:
    """Return the settings that days, sessions and business time follow from."""
    return (
        settings.timezone,
        settings.business_hours,
        settings.holidays,
        settings.session_gap_hours,
    )


def prices_of(settings: Settings) -> tuple[object, ...]:
    """Return the settings that prices follow from."""
    return settings.rate_card, settings.bill_zone, settings.templates, calling_codes()


def _is_made_of(connection: duckdb.DuckDBPyConnection, made_of: str) -> bool:
    """Return whether they are there, for the same: a process makes many passes."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS made_of (hash VARCHAR)")
    return exists(connection, f"FROM temp.made_of WHERE hash = '{made_of}'")


def bound_days(connection: duckdb.DuckDBPyConnection) -> None:
    """Set ``days_begin`` and ``days_end``: between them lie the days in scope, in any zone."""
    for name, chosen, room in (("days_begin", "min(date)", -1), ("days_end", "max(date)", 2)):
        connection.execute(
            f"SET VARIABLE {name} = (SELECT epoch_us({chosen}::TIMESTAMP) FROM days_in_scope) "
        )
        connection.execute(
            f"SET VARIABLE {name} = make_timestamptz(getvariable('{name}') + {room} * 86400000000)"
        )


def _span(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime]:
    """Return instants between which messages and calls lie, and now."""
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
    return _months_around(first, last)


def _months_around(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """Return instants days before the first and after the last, the same for a whole month."""
    begin, end = (
        at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        for at in (first - _ROOM, last + _ROOM)
    )
    return max(begin, _FIRST), min(end + _LONGEST_MONTH, _LAST)


def _install_days(
    connection: duckdb.DuckDBPyConnection, name: str, zone: str, begin: datetime, end: datetime
) -> None:
    (before,) = offsets(zone, _FIRST, _FIRST)
    (after,) = offsets(zone, _LAST, _LAST)
    (_, first), *later = offsets(zone, begin, end)
    changes = [before, (_FIRST, first), *later, after]
    if len({offset for _, offset in changes}) == 1:
        del changes[1:]  # a zone without daylight saving
    branches = "".join(
        f"WHEN epoch_us(t) < {_us(at)} THEN {offset // _MICROSECOND} "
        for (_, offset), (at, _) in pairwise(changes)
    )
    last = changes[-1][1] // _MICROSECOND
    shift = f"CASE {branches}ELSE {last} END" if branches else str(last)
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO {name}(t) AS "
        # Counted from the year 1, since division rounds towards zero.
        f"CASE WHEN in_calendar(t) THEN DATE '0001-01-01' + "
        f"((epoch_us(t) + {shift} + {-_us(_FIRST_DAY)}) // 86400000000)::INTEGER END"
    )


def _install_business(
    connection: duckdb.DuckDBPyConnection, settings: Settings, begin: datetime, end: datetime
) -> None:
    opens, closes, before, total = [], [], [], timedelta(0)
    for opened, closed in open_intervals(
        settings.business_hours, settings.holidays, settings.timezone, begin, end
    ):
        opens.append(opened)
        closes.append(closed)
        before.append(total // _MICROSECOND)
        total += closed - opened
    table = {
        "opens_at": pa.array(opens, _INSTANT),
        "closes_at": pa.array(closes, _INSTANT),
        "before_us": pa.array(before, pa.int64()),
    }
    _store(connection, "business", table)


def _install_rates(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    card = settings.rate_card
    table = {
        name: pa.array([getattr(rate, name) for rate in card], pa.string())
        for name in ("market", "country", "category", "message_type", "channel", "currency")
    } | {
        "effective_from": pa.array([rate.effective_from for rate in card], _INSTANT),
        "rate": pa.array([rate.rate for rate in card], pa.decimal128(18, 6)),
        "precedence": pa.array([rate.precedence for rate in card], pa.int64()),
        "from_volume": pa.array([rate.from_volume for rate in card], pa.int64()),
        "free_per_month": pa.array([rate.free_per_month for rate in card], pa.int64()),
    }
    _store(connection, "rates", table)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE rate_counters AS "
        "SELECT DISTINCT 'volume' AS kind, market, country, category, from_volume AS threshold "
        "FROM rates WHERE from_volume > 0 UNION "
        "SELECT DISTINCT 'free', '*', '*', category, free_per_month FROM rates "
        "WHERE free_per_month > 0"
    )
    codes = calling_codes()
    table = {
        "code": pa.array([one.code for one in codes], pa.string()),
        "market": pa.array([one.market for one in codes], pa.string()),
        "since": pa.array([one.since for one in codes], pa.date32()),
    }
    _store(connection, "given_codes", table)
    connection.execute(
        # Each code with the days on which it holds: until the next line of the same code.
        "CREATE OR REPLACE TEMP TABLE calling_codes AS SELECT code, market, "
        "coalesce(since, DATE '0001-01-01') AS since, coalesce(lead(since) OVER "
        "(PARTITION BY code ORDER BY since NULLS FIRST), DATE '9999-12-31') AS until "
        "FROM given_codes"
    )
    # What a template can be, where its category is unknown: those that there are rates of.
    named = {rate.category for rate in card}
    likely = ("marketing", "utility", "authentication")
    kinds = [one for one in TEMPLATE_CATEGORIES if one in named or one in likely]
    _store(connection, "template_categories", {"category": pa.array(kinds, pa.string())})


def keep(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Keep what views and checks read of the settings: templates and rates."""
    # Some tables are made here, of settings that `install` may not have been given.
    connection.execute("DROP TABLE IF EXISTS temp.made_of")
    _install_templates(connection, settings)
    connection.execute("DELETE FROM ops.templates")
    connection.execute("INSERT INTO ops.templates BY NAME FROM templates")
    _install_rates(connection, settings)
    connection.execute("DELETE FROM ops.rate_card")
    lines = {"line": pa.array([rate.line for rate in settings.rate_card], pa.int64())}
    _store(connection, "rate_lines", lines)
    connection.execute(
        "INSERT INTO ops.rate_card BY NAME SELECT l.line, r.* EXCLUDE (precedence) "
        "FROM rates r POSITIONAL JOIN rate_lines l"
    )


def _install_templates(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    templates = settings.templates
    table = {
        name: pa.array([getattr(one, name) for one in templates], pa.string())
        for name in ("template", "category", "pattern", "head")
    } | {"weight": pa.array([one.weight for one in templates], pa.int64())}
    _store(connection, "templates", table)


def _store(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, pa.Array]) -> None:
    connection.register("lent", pa.table(columns))
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM lent")
    finally:
        connection.unregister("lent")


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
