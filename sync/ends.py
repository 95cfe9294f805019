"""How the streams of a run ended, for the next run and the checks.

A stream with nothing new takes less time than a transaction. So what the streams that were read
well leave is kept in one, at the run's end or some seconds after the last; a run that is killed
before has stored all that it read, and only the time of its success is that of the run before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import duckdb

from hatif.errors import ClockChanged, EndpointUnavailable, ForeignRecords, HatifError
from warehouse.lake.connection import Lake
from warehouse.queue import states
from warehouse.queue.states import State
from warehouse.records import drift

#: What a changed service stops a stream with, by the kind of drift it is.
_DRIFT: tuple[tuple[type[HatifError], str], ...] = (
    (ClockChanged, "clock"),
    (ForeignRecords, "ids"),
)
_LONGEST = 5.0  # seconds that what ended well waits to be noted


class StreamEnds:
    """Notes how streams end.

    Args:
        lake: open for writing.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        with lake.snapshot() as connection:
            self._states = states.read(connection)
            self._stopped = drift.stopped(connection)
        self._noted_at = time.monotonic()
        #: How streams stand that is not noted yet.
        self.waiting: dict[str, State] = {}

    def unavailable_since(self, stream: str) -> str | None:
        """Return when the service was found not to offer a stream, as ISO text; None if it does."""
        since = self._states.get(stream, {}).get("unavailable_since")
        return None if since is None else str(since)

    def succeeded(self, stream: str) -> None:
        """Note that a stream was read well, now or with those that follow."""
        self._keep(stream, {"synced_at": datetime.now(UTC).isoformat()})
        if stream in self._stopped:
            self._write(stream, lambda c: drift.forget_stop(c, stream))
            self._stopped -= {stream}
        elif time.monotonic() - self._noted_at > _LONGEST:
            self._write(stream, lambda _: None)

    def failed(self, stream: str, error: HatifError) -> None:
        """Note the error that a stream ended with, where it shows that the service changed."""
        if isinstance(error, EndpointUnavailable):
            self._keep(stream, {"unavailable_since": datetime.now(UTC).isoformat()})
            self._write(stream, lambda _: None)
            return
        kind = next((kind for cause, kind in _DRIFT if isinstance(error, cause)), None)
        if kind is not None:
            what = str(error).partition(". ")[0]
            self._write(stream, lambda c: drift.note(c, stream, kind, [(what, None)]))
            self._stopped |= {stream}

    def _keep(self, stream: str, state: State) -> None:
        self._states[stream] = self.waiting[stream] = state

    def _write(self, stream: str, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        def noted(connection: duckdb.DuckDBPyConnection) -> None:
            states.note(connection, self.waiting)
            work(connection)

        self._lake.write(f"note how {stream} ended", noted)
        self.waiting.clear()
        self._noted_at = time.monotonic()
