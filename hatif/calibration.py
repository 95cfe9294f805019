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


def parse_time(text: str) -> datetime | None:
    """Read a timestamp as the warehouse's SQL does: naive means Riyadh. None if it is none."""
    try:
        time = datetime.fromisoformat(text)
        return (time.replace(tzinfo=NAIVE_MEANS) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):  # .NET's "no date" is the year 1: no such instant in UTC
        return None


class Calibration:
    """Collects the differences of one endpoint over a run; its size does not grow with rows."""

    def __init__(self) -> None:
        self._seconds: Counter[int] = Counter()

    def observe(self, times: list[str | None], time_ids: list[str | None]) -> None:
        """Look at a sample of a page's rows."""
        step = max(1, len(times) // _SAMPLE)
        self._seconds.update(_differences(times[::step], time_ids[::step]))

    def offset_minutes(self) -> int | None:
        """Return by how many minutes the timestamps are off, a multiple of 15; 0 is right.

        None (uncalibrated) with fewer than five rows to go by, or where the rows disagree among
        themselves: late deliveries scatter, a changed clock moves them all alike.
        """
        count = self._seconds.total()
        if count < _ENOUGH:
            return None
        middle = _median(self._seconds, count)
        steps = round(middle / _STEP)
        alike = sum(n for s, n in self._seconds.items() if round(s / _STEP) == steps)
        return steps * 15 if alike * 5 >= count * 4 else None


def _differences(times: list[str | None], time_ids: list[str | None]) -> Iterable[int]:
    for text, record_id in zip(times, time_ids, strict=True):
        inserted = instant_of(record_id.lower()) if record_id else None
        time = parse_time(text) if text else None
        if inserted is not None and time is not None:
            seconds = (time - inserted).total_seconds()
            if abs(seconds) <= _NEAR:
                yield round(seconds)


def _median(counts: Counter[int], total: int) -> int:
    passed = 0
    for value in sorted(counts):
        passed += counts[value]
        if 2 * passed >= total:
            return value
    raise ValueError("the median of nothing")
