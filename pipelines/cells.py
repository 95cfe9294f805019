"""Values of query results as Python values, without a loss where Python has no such value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from warehouse.reports.query import Rows

Row = tuple[Any, ...]

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400  # seconds
#: DuckDB's infinity by width in bits; the negative one is its opposite.
_INFINITE = {32: 2**31 - 1, 64: 2**63 - 1}
_EPOCH = date(1970, 1, 1)
#: The Gregorian calendar repeats itself after so many years and days.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097


def rows(query: Rows) -> Iterator[Row]:
    """Yield rows as tuples, since a SELECT may name two columns alike."""
    for batch in query.batches():
        yield from zip(*map(_values, batch.columns), strict=True)


def distinct(names: list[str]) -> list[str]:
    """Return the names with a number on those that were there before: a, a_1."""
    found: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
        found.append(next(candidate for candidate in candidates if candidate not in found))
    return found


def duration(interval: Any) -> str:
    """Return an interval as an ISO 8601 duration."""
    seconds = f"{interval.nanoseconds / 1e9:f}".rstrip("0").rstrip(".")
    return f"P{interval.months}M{interval.days}DT{seconds}S"


def _values(column: pa.Array) -> list[Any]:
    """Return a column's values, all of them fit for JSON.

    Bytes are hexadecimal text, intervals ISO 8601 durations. Times that Python cannot hold are
    text, too: infinite ones, years after 9999 or before 1, 24:00:00, nanoseconds.
    """
    if not _is_foreign(column.type):
        try:
            return list(column.to_pylist(maps_as_pydicts="lossy"))
        except (OverflowError, ValueError):
            pass  # a value beyond Python's calendar: one by one
    return [_value(scalar) for scalar in column]


def _is_foreign(kind: pa.DataType) -> bool:
    """Whether a type, or one inside it, has values that Python or JSON lacks."""
    if pa.types.is_time(kind) or pa.types.is_interval(kind) or pa.types.is_binary(kind):
        return True
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return True
    return any(_is_foreign(kind.field(n).type) for n in range(kind.num_fields))


def _value(scalar: pa.Scalar) -> Any:
    """Return one value, and those inside it, like `_values`."""
    if not scalar.is_valid:
        return None
    read = next((read for is_of, read in _READERS if is_of(scalar.type)), None)
    return scalar.as_py() if read is None else read(scalar)


def _mapping(scalar: pa.MapScalar) -> dict[Any, Any]:
    return {_value(pair["key"]): _value(pair["value"]) for pair in scalar.values}


def _day(scalar: pa.Date32Scalar) -> date | str:
    days = scalar.value
    try:
        return _EPOCH + timedelta(days=days)
    except OverflowError:
        return _infinity(days, 32) or _far_date(days)


def _time(scalar: pa.Time64Scalar) -> time | str:
    seconds, fraction = divmod(scalar.value, _UNITS[scalar.type.unit])
    if seconds < _DAY and _is_whole(fraction, scalar.type.unit):
        return time(
            seconds // 3_600,
            seconds // 60 % 60,
            seconds % 60,
            fraction * 10**6 // _UNITS[scalar.type.unit],
        )
    return _clock(seconds, fraction, scalar.type.unit)


def _instant(scalar: pa.TimestampScalar) -> datetime | str:
    value, unit, zone = scalar.value, scalar.type.unit, scalar.type.tz
    seconds, fraction = divmod(value, _UNITS[unit])
    if unit == "ns" and _is_whole(fraction, unit):
        scalar = pa.scalar(value // 1_000, pa.timestamp("us", zone))
    if _is_whole(fraction, unit):
        try:
            known: datetime = scalar.as_py()
        except (OverflowError, ValueError):
            pass
        else:
            return known
    if text := _infinity(value, 64):
        return text
    days, seconds = divmod(seconds, _DAY)
    return f"{_far_date(days)}T{_clock(seconds, fraction, unit)}{'Z' if zone else ''}"


def _is_whole(fraction: int, unit: str) -> bool:
    """Whether a fraction of a second is a whole number of microseconds."""
    return unit != "ns" or fraction % 1_000 == 0


def _clock(seconds: int, fraction: int, unit: str) -> str:
    text = f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    digits = len(str(_UNITS[unit])) - 1
    return f"{text}.{fraction:0{digits}}" if fraction else text


def _far_date(days: int) -> str:
    """Return a day as ISO 8601 text; the year before 1 is 0."""
    cycles, within = divmod((_EPOCH - date(1, 1, 1)).days + days, _CYCLE_DAYS)
    there = date(1, 1, 1) + timedelta(days=within)
    year = there.year + cycles * _CYCLE_YEARS
    return f"{'-' if year < 0 else ''}{abs(year):04}-{there:%m-%d}"


def _infinity(value: int, width: int) -> str | None:
    return {_INFINITE[width]: "infinity", -_INFINITE[width]: "-infinity"}.get(value)


#: How a scalar of a type is read, where not by `as_py`. A map is a list, too, so it stands first.
_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_map, _mapping),
    (pa.types.is_struct, lambda scalar: {name: _value(part) for name, part in scalar.items()}),
    (pa.types.is_nested, lambda scalar: [_value(part) for part in scalar.values]),
    (pa.types.is_date, _day),
    (pa.types.is_time, _time),
    (pa.types.is_timestamp, _instant),
    (pa.types.is_interval, lambda scalar: duration(scalar.as_py())),
    (pa.types.is_binary, lambda scalar: scalar.as_py().hex()),
)
