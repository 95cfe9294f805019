"""What time it is in the service: ages, watermarks and intervals are measured on its clock.

Events carry the service's time, so how old they are must not depend on this machine's clock. The
service's ``Date`` header has its time. Where it does not (it is absent, or just this machine's
time while the newest events are days old, as with a stand-in that plays another day), time is taken
to have gone on since the last run.

Neither clock is believed blindly, and no single row is: a message can be scheduled, or dated
9999-12-31. What many rows show (`Evidence`) can refute a clock; one that nothing supports and that
is years from this machine's is ignored. The result is always an instant that Python and the store
can carry.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Without any event for longer than this the rows do not show what time it is.
_QUIET = timedelta(hours=72)
#: A Date header further than this from our own time is a clock of the service's own.
_APART = timedelta(hours=1)
#: Activity so close to our own time shows that the service lives in it.
_RECENT = timedelta(hours=6)
#: No clock is this far from ours, whatever it is set to.
_FARTHEST = timedelta(days=5 * 365)
#: Rows that must be as late as an instant before they are evidence, where there are as many.
_ENOUGH_ROWS = 10
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """The service's clock beside this machine's, at one instant."""

    service: datetime
    local: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """The time by many rows.

    Attributes:
        activity: the newest activities, newest first; of some hundred rows more are no use.
        inserted: the newest instants inside ids, likewise; these cannot be scheduled.
        middle: more than half of all rows are as late as that; None where there are none.
    """

    activity: tuple[datetime, ...] = ()
    inserted: tuple[datetime, ...] = ()
    middle: datetime | None = None

    def with_(self, activity: Iterable[datetime], inserted: Iterable[datetime]) -> Evidence:
        """Return it with the rows of a page added."""
        return Evidence(
            _newest({*self.activity, *activity}), _newest({*self.inserted, *inserted}), self.middle
        )

    def newest_until(self, instant: datetime) -> datetime | None:
        """Return the newest activity that is not later than `instant`."""
        return next((one for one in self.activity if one <= instant), None)


def _newest(instants: Iterable[datetime]) -> tuple[datetime, ...]:
    return tuple(sorted(instants, reverse=True)[:_KEPT])


def _many(instants: Sequence[datetime]) -> datetime | None:
    """The latest instant that many rows reach: ten, of fewer than twenty half of them."""
    if len(instants) < 3:
        return None
    return instants[min(_ENOUGH_ROWS - 1, len(instants) // 2)]


def service_time(
    local: datetime, header: datetime | None, rows: Evidence, before: Reading | None
) -> datetime:
    """Return the service's time.

    Args:
        local: this machine's time, UTC.
        header: the service's Date header, None where it sends none.
        rows: what the rows show.
        before: what the last run made of it.
    """
    if header is not None and abs(header - local) > _APART:
        if _is_credible(header, local, rows):
            return header
        header = None
    now = header or local
    active = _many(rows.activity)
    # Activity can be scheduled, in a small workspace even that of most rows; insertion cannot.
    inserted_ahead = not rows.inserted or rows.inserted[0] > now + _APART
    active_ahead = rows.middle is not None and rows.middle > now + _APART
    if active is not None and active_ahead and inserted_ahead:
        return min(active, local + _FARTHEST)  # its clock is ahead of ours and it sends no header
    newest = rows.newest_until(now + _APART)
    if newest is None or now - newest <= _QUIET:
        return max(now, newest or now)
    newest = max(newest, now - _FARTHEST)
    if before is None:
        return newest
    carried = before.service + max(local - before.local, timedelta())
    # A clock that an earlier run left ahead of ours is no reason to live ahead of it.
    return max(newest, min(carried, now))


def _is_credible(header: datetime, local: datetime, rows: Evidence) -> bool:
    """Whether a Date header that is far from our own time can be the service's clock."""
    if abs(header - local) > _FARTHEST:
        return False
    inserted, active = _many(rows.inserted), _many(rows.activity)
    if inserted is not None and inserted > header + _APART:
        return False  # rows were inserted after that
    lives_in_our_time = active is not None and abs(local - active) <= _RECENT
    return not (header > local and lives_in_our_time)


def http_date(value: str) -> datetime | None:
    """Return the instant of an HTTP date in UTC, None where it is none.

    Without a zone it is GMT.
    """
    try:
        parsed = parsedate_to_datetime(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class ServiceClock:
    """The service's clock during one run.

    Args:
        before: what the last run left.
        rows: what the stored rows say.
    """

    def __init__(self, before: Reading | None = None, rows: Evidence | None = None) -> None:
        self._before = before
        self._rows = rows or Evidence()
        self._header: tuple[datetime, float] | None = None

    def note_date(self, date_header: str | None) -> None:
        """Note the Date header of an answer; one that is no date is ignored."""
        date = http_date(date_header or "")
        if date is not None:
            self._header = date, time.monotonic()

    def note_rows(self, activity: Iterable[datetime], inserted: Iterable[datetime]) -> None:
        """Note the activities of a list's newest rows, and the instants inside their ids."""
        self._rows = self._rows.with_(activity, inserted)

    def now(self) -> datetime:
        """Return the service's time."""
        return self.reading().service

    def at(self, local: datetime) -> datetime:
        """Return what the service's time was when it was `local` here."""
        reading = self.reading()
        return reading.service - (reading.local - local)

    def reading(self) -> Reading:
        """Return both clocks, to be kept for the next run."""
        local = datetime.now(UTC)
        header = None
        if self._header is not None:
            date, at = self._header
            try:
                header = date + timedelta(seconds=time.monotonic() - at)
            except OverflowError:  # the last second of the calendar
                header = date
        return Reading(service_time(local, header, self._rows, self._before), local)


class ClockWitness(ServiceClock):
    """Notes how far the service's clock is from this machine's.

    Attributes:
        apart: the service's time less ours; None where it sends none.
    """

    apart: timedelta | None = None

    def note_date(self, date_header: str | None) -> None:
        """Note the Date header of an answer."""
        super().note_date(date_header)
        if self._header is not None:
            self.apart = self._header[0] - datetime.now(UTC)
