"""Progress on a terminal: bars with an estimate that knows the request budget; plain lines else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from hatif.reading import StreamResult
from pipelines.terminal import count

#: Seconds from which a part is worth a line in a log.
_LONG = 60.0


class Bars:
    """A bar a stream on standard error.

    Args:
        console: where to draw.
        per_minute: the request budget, 0 for none. A list read by parents costs at least a
            request each, so the budget bounds its pace; rows come by the page, it does not there.
    """

    def __init__(self, console: Console, per_minute: int) -> None:
        self._per_minute = per_minute
        self._tasks: dict[str, TaskID] = {}
        self._units: dict[str, str] = {}
        self._stage: TaskID | None = None
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_stage()
        self._bars.stop()

    def stage(self, name: str) -> None:
        """Show that a part begins whose end is not known, and that the one before has ended."""
        self._end_stage()
        self._stage = self._bars.add_task(name, total=None, note="")

    def _end_stage(self) -> None:
        if self._stage is not None:
            seconds = self._bars.tasks[self._stage].elapsed or 0.0
            note = f"done, {seconds:.1f} s"
            self._bars.update(self._stage, total=1, completed=1, note=note)
        self._stage = None

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Draw an empty bar."""
        self._units[stream] = unit
        self._tasks[stream] = self._bars.add_task(stream, total=total, note=unit)

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Move the bar and update the estimate."""
        task = self._tasks[stream]
        self._bars.update(task, advance=by)
        if total is not None:
            self._bars.update(task, total=total)
        state = self._bars.tasks[task]
        left = (state.total or 0) - state.completed
        unit = self._units[stream]
        budget = 0 if unit == "rows" else self._per_minute
        self._bars.update(task, note=f"{unit}{_estimate(left, state.speed, budget)}")

    def finished(self, result: StreamResult) -> None:
        """Leave the stream's outcome beside its bar."""
        task = self._tasks.get(result.stream)
        if task is None:
            task = self._bars.add_task(result.stream, total=0, note="")
        self._bars.update(task, note=outcome(result))


def _estimate(left: float, speed: float | None, per_minute: int) -> str:
    """Return how long so many units take, at the pace so far and never faster than the budget."""
    rates = [rate for rate in (speed, per_minute / 60) if rate]
    if left <= 0 or not rates:
        return ""
    seconds = left / min(rates)
    if seconds < 60:
        return f", {seconds:.0f} s left"
    if seconds < 3600:
        return f", {seconds / 60:.0f} min left"
    return f", {seconds / 3600:.1f} h left"


class Lines:
    """A line a stream, and one for each further part that took long, for logs.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage: tuple[str, float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print how long the last part took."""
        self._end_stage()

    def stage(self, name: str) -> None:
        """Note that a part begins, and print how long the one before took, if that was long."""
        self._end_stage()
        self._stage = (name, self._clock())

    def _end_stage(self) -> None:
        if self._stage is None:
            return
        name, began = self._stage
        self._stage = None
        if (seconds := self._clock() - began) >= _LONG:
            _write(f"{name}: done, {seconds:.1f} s")

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Print nothing yet."""

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Print nothing yet."""

    def finished(self, result: StreamResult) -> None:
        """Print the outcome; a log that is full, or that nothing reads any more, ends no run."""
        _write(f"{result.stream}: {outcome(result)}")


def _write(line: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def watcher(per_minute: int) -> Bars | Lines:
    """Return bars on a terminal, lines elsewhere."""
    console = Console(stderr=True)
    return Bars(console, per_minute) if console.is_terminal else Lines()


def outcome(result: StreamResult) -> str:
    """Return the result of a stream as one line; what is deleted was not read, but missed."""
    parts = [
        result.status,
        f"{result.rows_read:,} read",
        f"{result.rows_stored:,} new or changed",
    ]
    if result.deleted:
        others = result.deleted - result.deleted_here
        theirs = f", with {count(others, 'record')} of theirs" if others else ""
        parts.append(f"{result.deleted_here:,} deleted in the service{theirs}")
    parts += [count(result.requests, "request"), f"{result.seconds:.1f} s"]
    if result.rejects:
        known = f" ({result.acknowledged:,} acknowledged)" if result.acknowledged else ""
        parts.append(f"{result.rejects:,} set aside{known}")
    if result.repaired:
        parts.append(f"{count(result.repaired, 'list')} repaired")
    if result.unproven:
        parts.append(f"{count(result.unproven, 'list')} unproven")
    if result.known_unproven:
        parts.append(f"{count(result.known_unproven, 'list')} known to be unproven")
    return ", ".join(parts)
