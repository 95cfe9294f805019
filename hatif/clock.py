"""What time is it in the service? Ages, watermarks and intervals are measured on its clock.

Events carry the service's time, so how old they are must not depend on this machine's clock. The
service's ``Date`` header tells its time. Where it may not (it is absent, or just this machine's
time while the newest event is days old, as with a stand-in that plays another day), time is taken
to have gone on since the last run, and never to be before the newest event.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: A workspace without any event for longer than this tells nothing about what time it is.
_QUIET = timedelta(hours=72)
#: A Date header further than this from our own time is a clock of the service's own.
_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """The service's clock beside this machine's, at one instant."""

    service: datetime
    local: datetime


def service_time(
    local: datetime, told: datetime | None, newest: datetime | None, before: Reading | None
) -> datetime:
    """Return the service's time.

    Args:
        local: this machine's time, UTC.
        told: what the service's Date header says, None where it sends none.
        newest: the time of the newest event known.
        before: what the last run made of it.
    """
    said = told or local
    if newest is None:
        return said
    if abs(said - local) > _APART or said - newest <= _QUIET:
        return max(said, newest)
    carried = before.service + max(local - before.local, timedelta()) if before else newest
    return max(newest, carried)


class ServiceClock:
    """The service's clock during one run.

    Args:
        before: what the last run left.
        newest: the newest event stored.
    """

    def __init__(self, before: Reading | None = None, newest: datetime | None = None) -> None:
        self._before = before
        self._newest = newest
        self._told: tuple[datetime, float] | None = None

    def told(self, date_header: str | None) -> None:
        """Note the Date header of an answer."""
        if date_header is None:
            return
        try:
            date = parsedate_to_datetime(date_header).astimezone(UTC)
        except (ValueError, OverflowError):
            return
        self._told = date, time.monotonic()

    def met(self, event: datetime | None) -> None:
        """Note the time of an event."""
        if event is not None and (self._newest is None or event > self._newest):
            self._newest = event

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
        told = None
        if self._told is not None:
            date, at = self._told
            told = date + timedelta(seconds=time.monotonic() - at)
        return Reading(service_time(local, told, self._newest, self._before), local)


class ClockWitness(ServiceClock):
    """Notes how far the service's clock is from this machine's.

    Attributes:
        apart: the service's time less ours; None where it does not tell.
    """

    apart: timedelta | None = None

    def told(self, date_header: str | None) -> None:
        """Note the Date header of an answer."""
        super().told(date_header)
        if self._told is not None:
            self.apart = self._told[0] - datetime.now(UTC)
