"""How far a stream is, as a line a minute in the log of its run."""

from __future__ import annotations

import time
from collections.abc import Callable

from hatif.reading import StreamResult

_EVERY = 60.0  # seconds


class ProgressLog:
    """Writes, while a stream is read, a line a minute: what is done, what is left, and how long.

    Args:
        write: takes a line.
        clock: monotonic seconds.
    """

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        #: HTTP attempts of the run so far; set once there is a session.
        self.requests: Callable[[], int] = lambda: 0
        self._unit, self._total, self._done = "", 0, 0
        self._began = self._last = clock()

    def started(self, stream: str, total: int | None, unit: str) -> None:  # noqa: ARG002
        """Begin to count."""
        self._unit, self._total, self._done = unit, total or 0, 0
        self._began = self._last = self._clock()

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Count, and write a line if the last one is a minute old."""
        self._done += by
        self._total = self._total if total is None else total
        now = self._clock()
        if now - self._last >= _EVERY:
            self._last = now
            self._write(f"{stream}: {self._state(now)}")

    def finished(self, result: StreamResult) -> None:
        """Write nothing: the step reports how the stream ended."""

    def _state(self, now: float) -> str:
        of = f" of {self._total:,}" if self._total >= self._done else ""
        text = f"{self._done:,}{of} {self._unit}, {self.requests():,} requests in this run"
        left = self._total - self._done
        if left <= 0 or not self._done:
            return text
        minutes = left * (now - self._began) / self._done / 60
        return f"{text}, about {max(1, round(minutes)):,} min left"
