"""How far a whole sync is: its stages, and how long reading still takes under the request budget.

Known are the lists that are due, at a request each at least, and the pace so far. What hangs on
records that are not read yet is not known, and then no time is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hatif.streams import STREAMS

#: Seconds after which, or lists of a stage from which on, it is worth counting what is due in those
#: to come: most syncs have ended by then, or are of fewer.
_WORTH_COUNTING = 10.0
_MANY = 30
#: Lists after which the pace of a stage is taken for that of the next.
_ENOUGH = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync is going to do.

    Attributes:
        stages: streams, then parts of computing, in their order.
        due: how many lists of a stream are due now; costs a query.
        requests_left: how many more the run may send, None for any number.
    """

    stages: Sequence[str]
    due: Callable[[str], int]
    requests_left: Callable[[], int | None]


class Forecast:
    """Follows a sync.

    Args:
        per_minute: the request budget, 0 for none.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._plan: Plan | None = None
        self._began = clock()
        self._number = 0
        self._read: set[str] = set()
        self._due: dict[str, int | None] = {}
        self._is_lists, self._is_counted = False, False
        self._total, self._done, self._stage_began = 0, 0, self._began

    def expect(self, plan: Plan) -> None:
        """Take what the sync is going to do."""
        self._plan, self._began = plan, self._clock()

    @property
    def stages(self) -> int:
        """How many there are, 0 while that is not known."""
        return len(self._plan.stages) if self._plan else 0

    @property
    def finished(self) -> int:
        """How many stages have ended, as those before the present one have."""
        return max(0, self._number - 1)

    def begin(self, stage: str, total: int | None = None, *, is_lists: bool = False) -> None:
        """Note that a stage begins.

        Args:
            stage: its name.
            total: what is to be done in it, None if that is not known.
            is_lists: that is counted in lists, of which each takes a request or more.
        """
        if self._plan and stage in self._plan.stages:
            self._number = self._plan.stages.index(stage) + 1
        self._total, self._done, self._is_lists = total or 0, 0, is_lists
        self._stage_began = self._clock()
        self._is_counted = False

    def advance(self, by: int, total: int | None = None) -> None:
        """Note that so much more of the stage is done."""
        self._done += by
        self._total = self._total if total is None else total

    def end(self, stage: str) -> None:
        """Note that a stage has ended."""
        self._read.add(stage)

    def __str__(self) -> str:
        """Where the sync is, and how long it takes to its end; empty before it has a plan."""
        if not self._plan or not self._number:
            return ""
        text = f"stage {self._number} of {self.stages}"
        is_long = self._clock() - self._began >= _WORTH_COUNTING
        is_large = self._is_lists and self._total >= _MANY
        if not (is_long or is_large) or not self._is_reading():
            return text
        if not self._is_counted:
            self._count_due()
        seconds = self._seconds_left()
        return f"{text}, {'time left not known yet' if seconds is None else in_words(seconds)}"

    def _is_reading(self) -> bool:
        return self._plan is not None and self._plan.stages[self._number - 1] in STREAMS

    def _count_due(self) -> None:
        """Count the lists of the streams to come; None where their parents are not known yet."""
        self._is_counted = True
        if self._plan is None:
            return
        for name in self._plan.stages[self._number :]:
            if name in STREAMS and (parent := STREAMS[name].parent) is not None:
                lists = self._plan.due(name)
                is_known = lists or parent in self._read or parent not in self._plan.stages
                self._due[name] = lists if is_known else None

    def _seconds_left(self) -> float | None:
        """Return how long reading still takes, None where that is not known."""
        if self._plan is None:
            return None
        pace = self._pace()
        ahead = [self._due.get(name, 0) for name in self._plan.stages[self._number :]]
        counts = [max(0, self._total - self._done) if self._is_lists else 0, *ahead]
        known = [count for count in counts if count is not None]
        limit = self._plan.requests_left()
        if not pace or (limit is None and len(known) < len(counts)):
            return None
        requests = sum(known)
        if limit is not None and (limit < requests or len(known) < len(counts)):
            requests = limit
        return requests / pace + (0 if self._is_lists else self._rows_left())

    def _rows_left(self) -> float:
        """Return the seconds that the rest of a stage takes that is counted in rows."""
        spent = self._clock() - self._stage_began
        return spent * (self._total - self._done) / self._done if self._done else 0

    def _pace(self) -> float | None:
        """Return lists a second: as measured, and never more than the budget allows."""
        spent = self._clock() - self._stage_began
        measured = self._done / spent if self._is_lists and self._done >= _ENOUGH and spent else 0
        rates = [rate for rate in (measured, self._per_minute / 60) if rate]
        return min(rates) if rates else None


def in_words(seconds: float) -> str:
    """Return how long that is, about."""
    if seconds < 60:
        return "less than a minute left"
    if seconds < 5_400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3_600:.1f} h left"
