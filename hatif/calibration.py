"""Do an endpoint's timestamps agree with the instants in its ids?

The service sends naive times that are Riyadh's and labelled ones in UTC (docs/service.md).
Each id the service made carries the instant its row was inserted, so the claim is checked on every
scan: the difference between a row's own time, read that way, and the instant in its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from hatif.guid import instant_of

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


class Calibration:
    """Collects the differences of one endpoint over a run; its size does not grow with rows.

    Rows that are late by the same quarter of an hour are no changed clock yet: a backlog arrives as
    a block, inserted within hours. A changed clock moves all rows inserted since alike, for long,
    and in more than one list.
    """

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()  # quarters of an hour off → rows
        self._hours: dict[int, Counter[int]] = {}  # the same by the hour of insertion, newest only
        self._lists_off: set[str | None] = set()

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
