"""Business hours: how they are written, and the intervals of business time they mean.

``Sun-Thu 09:00-18:00`` is a schedule: days, then intervals; groups by ``;``. An interval whose end
is not after its start runs over midnight and belongs to its start day. A CSV ``valid_from,hours``
holds schedules that follow each other, as in Ramadan; before the first of them there is no
business time.

What counts is the clock on the wall: an instant is inside business hours if the local time then
is. An hour that daylight saving repeats counts twice, one it skips does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from warehouse.settings.csv_file import Form, on_line, parse_date, read_rows
from warehouse.settings.values import user_path

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUP = re.compile(
    r"(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*)\s+"
    r"(?P<hours>\d\d?:\d\d-\d\d?:\d\d(?:\s*,\s*\d\d?:\d\d-\d\d?:\d\d)*)"
)
_DAY = timedelta(days=1)
#: Time zones change their offset at most so often.
_STEP = timedelta(hours=6)
_FORM = "must look like Sun-Thu 09:00-18:00; Sat 10:00-13:00,16:00-20:00"

_HOURS = Form("valid_from,hours", (("valid_from", "hours"),), rest="hours")
_HOLIDAYS = Form(
    "date[,from,to][,name]",
    (("date",), ("date", "name"), ("date", "from", "to"), ("date", "from", "to", "name")),
)

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The hours of a week, from a day on.

    Attributes:
        valid_from: the first local day on which its intervals start; None = always.
        week: for Monday to Sunday the intervals that start on that day, as time since midnight;
            ends lie beyond 24 h where the interval runs over midnight.
    """

    valid_from: date | None
    week: tuple[tuple[tuple[timedelta, timedelta], ...], ...]


@dataclass(frozen=True, slots=True)
class Holiday:
    """An interval of local time without business time, whatever the schedule."""

    starts: datetime
    ends: datetime


def parse_hours(text: str) -> tuple[Schedule, ...]:
    """Read the setting: a schedule, or the path of a CSV ``valid_from,hours``.

    Returns:
        Schedules by the day from which each is valid.

    Raises:
        ValueError: a sentence that names the mistake and its line of a file.
    """
    if not _exists(text):
        if re.match(r"\s*[A-Za-z]{3}[-,\s]", text):
            return (Schedule(None, _week(text)),)
        raise ValueError(f"{_FORM}, or name a readable CSV file {_HOURS.usage}")
    found: dict[date, Schedule] = {}
    for line, cells in read_rows(user_path(text), _HOURS):
        with on_line(line):
            valid_from = parse_date(cells["valid_from"])
            if valid_from in found:
                raise ValueError("another line has the same valid_from")
            found[valid_from] = Schedule(valid_from, _week(cells["hours"]))
    if not found:
        raise ValueError(f"the file holds no line; it needs {_HOURS.usage}")
    return tuple(found[day] for day in sorted(found))


def parse_holidays(path: Path) -> tuple[Holiday, ...]:
    """Read a CSV ``date[,from,to][,name]``: whole days, or parts of them, in local time.

    Raises:
        ValueError: a sentence that names the mistake and its line.
    """
    holidays = []
    for line, cells in read_rows(path, _HOLIDAYS):
        with on_line(line):
            midnight = datetime.combine(parse_date(cells["date"]), time())
            begin, end = _part_of_day(cells)
            holidays.append(Holiday(midnight + begin, midnight + end))
    if not holidays:
        raise ValueError(f"the file holds no holiday; it needs {_HOLIDAYS.usage}")
    return tuple(holidays)


def offsets(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, timedelta]]:
    """Return the zone's offsets from UTC between two instants, each with where it begins.

    The first is that of `start`, wherever it began.
    """
    info = ZoneInfo(zone)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(info).utcoffset() or timedelta(0)

    found = [(start, offset(start))]
    at = start
    while at < end:
        ahead = min(at + _STEP, end)
        if (new := offset(ahead)) != found[-1][1]:
            before, after = at, ahead
            while after - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
                before, after = (before, middle) if offset(middle) == new else (middle, after)
            found.append((after, new))
        at = ahead
    return found


def open_intervals(
    schedules: Sequence[Schedule],
    holidays: Sequence[Holiday],
    zone: str,
    start: datetime,
    end: datetime,
) -> list[Interval]:
    """Return the business time between two instants: intervals in UTC, in order, not touching.

    Args:
        schedules: as `parse_hours` returns them.
        holidays: cut out of them.
        zone: whose wall clock they are about.
        start: aware; whole seconds.
        end: aware; whole seconds.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    found: list[Interval] = []
    changes = [*offsets(zone, start, end), (end, timedelta(0))]
    for (begins, offset), (stops, _) in pairwise(changes):
        local_start, local_stop = _naive(begins) + offset, _naive(stops) + offset
        wall = _without(
            _merged(_scheduled(schedules, local_start, local_stop)),
            _merged((holiday.starts, holiday.ends) for holiday in holidays),
        )
        for opens, closes in wall:
            first, last = max(opens, local_start), min(closes, local_stop)
            if first < last:
                found.append(
                    ((first - offset).replace(tzinfo=UTC), (last - offset).replace(tzinfo=UTC))
                )
    return _merged(found)


def _scheduled(schedules: Sequence[Schedule], start: datetime, end: datetime) -> Iterator[Interval]:
    """Yield intervals of wall time; one that runs over midnight may begin the day before."""
    day = start.date() - _DAY
    while day <= end.date():
        in_force = [s for s in schedules if s.valid_from is None or s.valid_from <= day]
        if in_force:
            midnight = datetime.combine(day, time())
            for begins, ends in in_force[-1].week[day.weekday()]:
                yield midnight + begins, midnight + ends
        day += _DAY


def _merged(intervals: Sequence[Interval] | Iterator[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for begins, ends in sorted(intervals):
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends))
        else:
            found.append((begins, ends))
    return found


def _without(intervals: list[Interval], holes: list[Interval]) -> Iterator[Interval]:
    for begins, ends in intervals:
        for opens, closes in holes:
            if closes <= begins or ends <= opens:
                continue
            if begins < opens:
                yield begins, opens
            begins = max(begins, closes)
        if begins < ends:
            yield begins, ends


def _naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _week(text: str) -> tuple[tuple[tuple[timedelta, timedelta], ...], ...]:
    """Read groups of days and intervals; no text at all is a week without work."""
    week: list[list[tuple[timedelta, timedelta]]] = [[] for _ in _DAYS]
    groups = [group for part in text.split(";") if (group := part.strip().lower())]
    if text.strip() and not groups:
        raise ValueError(_FORM)
    for group in groups:
        if not (match := _GROUP.fullmatch(group)):
            raise ValueError(_FORM)
        hours = [_interval(*one.split("-")) for one in match["hours"].split(",")]
        for day in _weekdays(match["days"]):
            week[day] += hours
    return tuple(map(tuple, week))


def _weekdays(text: str) -> Iterator[int]:
    for span in text.split(","):
        first, _, last = span.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"the days are {', '.join(day.title() for day in _DAYS)}")
        length = (_DAYS.index(last or first) - _DAYS.index(first)) % len(_DAYS)
        for step in range(length + 1):
            yield (_DAYS.index(first) + step) % len(_DAYS)


def _part_of_day(cells: Mapping[str, str]) -> tuple[timedelta, timedelta]:
    """Return when a holiday begins and ends, counted from its midnight."""
    if cells["from"] or cells["to"]:
        return _interval(cells["from"], cells["to"])
    if cells["name"][:1].isdigit():
        # A row of two cells has no times: a date or a time there was meant to be one.
        raise ValueError(
            "a part of a day needs both times: date,from,to (2026-01-01,09:00,12:00); a name must "
            "not begin with a digit"
        )
    return timedelta(0), _DAY


def _interval(begin: str, end: str) -> tuple[timedelta, timedelta]:
    begins, ends = _clock(begin), _clock(end)
    if begins == _DAY:
        raise ValueError("a time that begins at 24:00 is the next day's; begin it there at 00:00")
    return begins, ends if ends > begins else ends + _DAY


def _clock(text: str) -> timedelta:
    match = re.fullmatch(r"\s*([0-9]{1,2}):([0-9]{2})\s*", text)
    if match:
        found = timedelta(hours=int(match[1]), minutes=int(match[2]))
        if int(match[2]) < 60 and found <= _DAY:
            return found
    raise ValueError("times must be HH:MM, from 00:00 to 24:00")


def _exists(text: str) -> bool:
    try:
        return user_path(text).exists()
    except (OSError, ValueError):
        return False  # too long for a path, for example
