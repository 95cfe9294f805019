"""The service's time: its clock now, the instants inside its ids, and whether its timestamps agree.

Ages, watermarks and intervals are measured on the service's clock (`ServiceClock`). Events carry
its time, so how old they are must not depend on this machine's clock. The service's ``Date`` header
has its time. Where it does not (it is absent, or just this machine's time while the newest events
are days old, as with a stand-in that plays another day), time is taken to have gone on since the
last run. Neither clock is believed blindly, and no single row is: a message can be scheduled, or
dated 9999-12-31. What many rows show (`Evidence`) can refute a clock; one that nothing supports and
that is years from this machine's is ignored. The result is always an instant that Python and the
store can carry.

Timestamps are naive and mean Riyadh's time, or labelled (docs/service.md). Each id that the service
made carries the instant its row was inserted (`instant_of`), so every scan checks that claim: the
difference between a row's own time, read that way, and the instant in its id (`Calibration`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def instant_of(record_id: str) -> datetime | None:
    """Return the UTC instant at which the row with this id was inserted, None if it has none."""
    if not record_id.startswith("3a") or len(record_id) != 36:
        return None
    try:
        milliseconds = int(record_id[:8] + record_id[9:13], 16)
    except ValueError:
        return None
    return _YEAR_ONE + timedelta(milliseconds=milliseconds)


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


#: What naive timestamps mean. Riyadh has had no daylight saving, ever.
NAIVE_MEANS = timezone(timedelta(hours=3))

_NEAR = 15 * 3600  # seconds: rows further away were imported or back-dated, which is normal
_STEP = 15 * 60  # seconds: zones differ by quarters of an hour
_ENOUGH = 5
_SAMPLE = 10  # rows looked at in a page, spread evenly
_HOURS_KEPT = 96
_LASTING_HOURS = 12  # a backlog that was inserted over longer, all equally late, is none


def parse_time(text: str) -> datetime | None:
    """Read a timestamp as the warehouse's SQL does: naive means Riyadh. None if it is none."""
    try:
        time = datetime.fromisoformat(text)
        return (time.replace(tzinfo=NAIVE_MEANS) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):  # .NET's "no date" is the year 1: no such instant in UTC
        return None


@dataclass(slots=True)
class Calibration:
    """Collects the differences of one endpoint over a run; its size does not grow with rows.

    Rows that are late by the same quarter of an hour are no changed clock yet: a backlog arrives as
    a block, inserted within hours. A changed clock moves all rows inserted since alike, for long,
    and in more than one list.
    """

    _steps: Counter[int] = field(default_factory=Counter)  # quarters of an hour off → rows
    #: The same by the hour of insertion, newest only.
    _hours: dict[int, Counter[int]] = field(default_factory=dict)
    _lists_off: set[str | None] = field(default_factory=set)

    def observe(
        self, times: list[str | None], time_ids: list[str | None], parent: str | None = None
    ) -> None:
        """Look at a sample of a page's rows.

        Args:
            times: the rows' own times as sent.
            time_ids: the ids that carry their instants of insertion.
            parent: of the list that they are of, None for a stream's only list.
        """
        apart = max(1, len(times) // _SAMPLE)
        for inserted, seconds in _differences(times[::apart], time_ids[::apart]):
            steps, hour = round(seconds / _STEP), int(inserted.timestamp() // 3600)
            self._steps[steps] += 1
            self._hours.setdefault(hour, Counter())[steps] += 1
            if steps and len(self._lists_off) < 2:
                self._lists_off.add(parent)
        while len(self._hours) > _HOURS_KEPT:
            del self._hours[min(self._hours)]

    def offset_minutes(self) -> int | None:
        """Return by how many minutes the timestamps are off, a multiple of 15; 0 is right.

        None (uncalibrated) with fewer than five rows to go by, or where the rows disagree among
        themselves, or agree on an offset that a late backlog would show as well.
        """
        if self._steps.total() < _ENOUGH:
            return None
        changed = self._lasting_offset()
        if changed is not None:
            return changed * 15
        return 0 if _is_alike(self._steps, 0) else None

    def _lasting_offset(self) -> int | None:
        """The offset, in steps, of all rows inserted during the last hours seen, if it lasts."""
        if None not in self._lists_off and len(self._lists_off) < 2:
            return None
        hours = sorted(self._hours, reverse=True)
        steps = self._hours[hours[0]].most_common(1)[0][0]
        rows = 0
        oldest = hours[0]
        for hour in hours:
            if not _is_alike(self._hours[hour], steps):
                break
            oldest = hour
            rows += self._hours[hour].total()
        lasts = rows >= _ENOUGH and hours[0] - oldest >= _LASTING_HOURS
        return steps if steps and lasts else None


def _is_alike(counts: Counter[int], steps: int) -> bool:
    """Whether four rows of five are off by so many steps."""
    return counts[steps] * 5 >= counts.total() * 4


def _differences(
    times: list[str | None], time_ids: list[str | None]
) -> Iterable[tuple[datetime, float]]:
    """When each row was inserted, and by how many seconds its own time is later."""
    for text, record_id in zip(times, time_ids, strict=True):
        inserted = instant_of(record_id.lower()) if record_id else None
        time = parse_time(text) if text else None
        if inserted is not None and time is not None:
            seconds = (time - inserted).total_seconds()
            if abs(seconds) <= _NEAR:
                yield inserted, seconds
