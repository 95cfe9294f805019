"""How often a table is brought up to date, and from when on that counts as late.

``pipelines/schedules.py`` keeps these promises. A window holds the interval, the run itself and the
longest thing planned in between: the nightly pass over all lists takes under an hour, and ticks are
skipped meanwhile.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

import dagster as dg

from hatif.streams import STREAMS


class Pace(Enum):
    """How often a table is brought up to date.

    Attributes:
        every: between two syncs.
        warn_after: without one.
        fail_after: without one.
    """

    QUARTER_HOUR = (timedelta(minutes=15), timedelta(hours=2), timedelta(hours=4))
    HOUR = (timedelta(hours=1), timedelta(hours=3), timedelta(hours=8))
    NIGHT = (timedelta(hours=24), timedelta(hours=30), timedelta(hours=54))

    def __init__(self, every: timedelta, warn_after: timedelta, fail_after: timedelta) -> None:
        self.every = every
        self.warn_after = warn_after
        self.fail_after = fail_after

    @property
    def policy(self) -> dg.FreshnessPolicy:
        """What Dagster watches and shows on the asset."""
        return dg.FreshnessPolicy.time_window(
            fail_window=self.fail_after, warn_window=self.warn_after
        )

    @property
    def description(self) -> str:
        """The promise as a sentence, for the descriptions of assets."""
        return (
            f"every {_words(self.every)}; late after {_words(self.warn_after)}, "
            f"too late after {_words(self.fail_after)}"
        )


def pace_of(stream: str) -> Pace:
    """Return how often a stream is read; of what is made of several (no stream), how often that."""
    return Pace.HOUR if stream and STREAMS[stream].is_hourly else Pace.QUARTER_HOUR


def _words(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    if minutes % 60:
        return f"{minutes} minutes"
    return "hour" if minutes == 60 else f"{minutes // 60} hours"
