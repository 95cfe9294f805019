"""Filters as they stand in an address: period, channel, agent, tag, country, type, and the like.

Values are checked for their form only and are bound to statements, never written into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from page.errors import BadRequest

#: Days of a reporting period that begin at or before today; each returns first and last day.
PERIODS: dict[str, Callable[[date], tuple[date, date]]] = {
    "today": lambda day: (day, day),
    "yesterday": lambda day: (day - timedelta(1), day - timedelta(1)),
    "7d": lambda day: (day - timedelta(6), day),
    "30d": lambda day: (day - timedelta(29), day),
    "90d": lambda day: (day - timedelta(89), day),
    "month": lambda day: (day.replace(day=1), day),
    "last_month": lambda day: (
        (day.replace(day=1) - timedelta(1)).replace(day=1),
        day.replace(day=1) - timedelta(1),
    ),
    "year": lambda day: (day - timedelta(364), day),
}
DEFAULT_PERIOD = "30d"
GRAINS = ("day", "week", "month")
#: Stands in an address for values that are not known: a message without a type, for example.
UNKNOWN = "-"
_LONGEST = 200  # characters of a value
_FIRST, _LAST = date(1970, 1, 1), date(2199, 12, 31)
_MOST_DAYS = 3_700
_TARGETS = (1, 30 * 86_400)  # seconds


@dataclass(frozen=True, slots=True)
class Filters:
    """One set of filters, ready for statements; equal sets have equal answers.

    Attributes:
        start: first reporting day.
        end: last reporting day.
        today: the reporting day of the request.
        grain: day, week (from Sunday) or month: what a bar stands for.
        channel, agent, tag: ids, or None for all.
        country, message_type: or None for all; `UNKNOWN` for those that are not known.
        target: seconds within which an answer is in time.
        clock: ``clock`` for all seconds, ``business`` for those inside business hours.
        waiting: ``recent``, or ``all`` to show those who have been waiting for long, too.
    """

    start: date
    end: date
    today: date
    grain: str = "day"
    channel: str | None = None
    agent: str | None = None
    tag: str | None = None
    country: str | None = None
    message_type: str | None = None
    target: int = 300
    clock: str = "clock"
    waiting: str = "recent"

    @property
    def before(self) -> Filters:
        """The same for the period before, which is as long."""
        length = self.end - self.start + timedelta(1)
        return replace(self, start=self.start - length, end=self.start - timedelta(1))

    def values(self) -> dict[str, Any]:
        """Return the values by the names that statements bind them to."""
        return {
            "from": self.start,
            "to": self.end,
            "today": self.today,
            "channel": self.channel,
            "agent": self.agent,
            "tag": self.tag,
            "country": None if self.country == UNKNOWN else self.country,
            "message_type": None if self.message_type == UNKNOWN else self.message_type,
            "target": self.target,
            "waiting": self.waiting,
        }

    def as_json(self) -> dict[str, Any]:
        """Return what the page shows of them."""
        before = self.before
        return {
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "before_from": before.start.isoformat(),
            "before_to": before.end.isoformat(),
            "today": self.today.isoformat(),
            "grain": self.grain,
            "target": self.target,
            "clock": self.clock,
            "waiting": self.waiting,
        }


def parse(given: Mapping[str, str], today: date) -> Filters:
    """Return the filters of an address.

    Raises:
        BadRequest: a name or a value is none.
    """
    known = {*_TEXTS, *_CHOICES, "period", "from", "to", "target"}
    for name in given:
        if name not in known:
            raise BadRequest(name[:_LONGEST], "there is no such filter")
    start, end = _period(given, today)
    values: dict[str, Any] = {name: _text(given, name) for name in _TEXTS}
    values |= {name: _choice(given, name, choices) for name, choices in _CHOICES.items()}
    return Filters(start=start, end=end, today=today, target=_target(given), **values)


_TEXTS = ("channel", "agent", "tag", "country", "message_type")
_CHOICES = {"grain": GRAINS, "clock": ("clock", "business"), "waiting": ("recent", "all")}


def _period(given: Mapping[str, str], today: date) -> tuple[date, date]:
    if given.get("from") or given.get("to"):
        start, end = _day(given, "from"), _day(given, "to")
        if start > end:
            raise BadRequest("from", "the period ends before it begins")
        if (end - start).days > _MOST_DAYS:
            raise BadRequest("from", f"a period has at most {_MOST_DAYS} days")
        return start, end
    name = given.get("period") or DEFAULT_PERIOD
    if name not in PERIODS:
        raise BadRequest("period", "there is no such period")
    return PERIODS[name](today)


def _day(given: Mapping[str, str], name: str) -> date:
    try:
        day = date.fromisoformat(given.get(name, ""))
    except ValueError:
        raise BadRequest(name, "a period needs two dates, YYYY-MM-DD") from None
    if not _FIRST <= day <= _LAST:
        raise BadRequest(name, "the date is outside the calendar")
    return day


def _text(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name) or None
    if value is not None and (len(value) > _LONGEST or "\x00" in value):
        raise BadRequest(name, "the value is too long")
    return value


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = given.get(name) or choices[0]
    if value not in choices:
        raise BadRequest(name, f"one of {', '.join(choices)}")
    return value


def _target(given: Mapping[str, str]) -> int:
    value = given.get("target") or "300"
    # int() takes digits of any script, spaces and underscores.
    if not (value.isascii() and value.isdigit() and len(value) < 9):
        raise BadRequest("target", "a whole number of seconds")
    if not _TARGETS[0] <= int(value) <= _TARGETS[1]:
        raise BadRequest("target", f"from {_TARGETS[0]} to {_TARGETS[1]} seconds")
    return int(value)
