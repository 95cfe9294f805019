"""Progress on a terminal: bars with an estimate that knows the request budget; plain lines else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from hatif.reading import StreamResult
from pipelines.forecast import Forecast, Plan
from pipelines.terminal import count

#: Seconds from which a part is worth a line in a log, and between two lines of one part.
_LONG = 60.0
#: Columns of a terminal from which bars are long.
_WIDE = 100


class Bars:
    """On standard error a line a stream that ended, and below these bars of what is under way.

    Args:
        console: where to draw.
        per_minute: the request budget, 0 for none. A list read by parents costs at least a
            request each, so the budget bounds its pace; rows come by the page, it does not there.
    """

    def __init__(self, console: Console, per_minute: int) -> None:
        self._per_minute = per_minute
        self._forecast = Forecast(per_minute)
        self._whole: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._units: dict[str, str] = {}
        self._stage: tuple[str, TaskID] | None = None
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=20)),
            BarColumn(bar_width=14 if console.width < _WIDE else 30),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
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

    @property
    def drawing(self) -> RenderableType:
        """The bars as they stand."""
        return self._bars.get_renderable()

    def expect(self, plan: Plan) -> None:
        """Draw the bar of the whole sync."""
        self._forecast.expect(plan)
        self._whole = self._bars.add_task("whole sync", total=self._forecast.stages, note="")

    def _show_whole(self) -> None:
        if self._whole is not None:
            forecast = self._forecast
            self._bars.update(self._whole, completed=forecast.finished, note=str(forecast))

    def _end(self, task: TaskID | None, line: str) -> None:
        """Let a bar give way to a line above the others."""
        if task is not None:
            self._bars.remove_task(task)
        self._bars.console.print(Text(line))

    def stage(self, name: str) -> None:
        """Show that a part begins whose end is not known, and that the one before has ended."""
        self._end_stage()
        self._forecast.begin(name)
        self._show_whole()
        self._stage = name, self._bars.add_task(name, total=None, note="")

    def _end_stage(self) -> None:
        if self._stage is not None:
            name, task = self._stage
            seconds = next((t.elapsed for t in self._bars.tasks if t.id == task), None)
            self._end(task, f"{name}: done, {seconds or 0.0:.1f} s")
        self._stage = None

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Draw an empty bar."""
        self._units[stream] = unit
        self._tasks[stream] = self._bars.add_task(stream, total=total, note=unit)
        self._forecast.begin(stream, total, is_lists=unit != "rows")
        self._show_whole()

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Move the bar and update the estimates."""
        self._forecast.advance(by, total)
        self._show_whole()
        task = self._tasks[stream]
        self._bars.update(task, advance=by)
        if total is not None:
            self._bars.update(task, total=total)
        state = next(one for one in self._bars.tasks if one.id == task)
        left = (state.total or 0) - state.completed
        unit = self._units[stream]
        budget = 0 if unit == "rows" else self._per_minute
        self._bars.update(task, note=f"{unit}{_estimate(left, state.speed, budget)}")

    def finished(self, result: StreamResult) -> None:
        """Put the stream's outcome in the place of its bar."""
        self._forecast.end(result.stream)
        self._end(self._tasks.pop(result.stream, None), f"{result.stream}: {outcome(result)}")


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
    """A line a stream, one a minute while it is read, and one for each part that took long.

    Args:
        per_minute: the request budget, 0 for none.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._forecast = Forecast(per_minute, clock)
        self._unit, self._total, self._done, self._written = "", 0, 0, clock()
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
        self._forecast.begin(name)
        self._stage = (name, self._clock())

    def _end_stage(self) -> None:
        if self._stage is None:
            return
        name, began = self._stage
        self._stage = None
        if (seconds := self._clock() - began) >= _LONG:
            _write(f"{name}: done, {seconds:.1f} s")

    def expect(self, plan: Plan) -> None:
        """Take what the sync is going to do."""
        self._forecast.expect(plan)

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Begin to count."""
        self._unit, self._total, self._done, self._written = unit, total or 0, 0, self._clock()
        self._forecast.begin(stream, total, is_lists=unit != "rows")

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Count, and print a line if the last one is a minute old."""
        self._forecast.advance(by, total)
        self._done += by
        self._total = self._total if total is None else total
        if (now := self._clock()) - self._written >= _LONG:
            self._written = now
            of = f" of {self._total:,}" if self._total >= self._done else ""
            _write(f"{stream}: {self._done:,}{of} {self._unit}; {self._forecast}")

    def finished(self, result: StreamResult) -> None:
        """Print the outcome; a log that is full, or that nothing reads any more, ends no run."""
        self._forecast.end(result.stream)
        _write(f"{result.stream}: {outcome(result)}")


def _write(line: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def watcher(per_minute: int) -> Bars | Lines:
    """Return bars on a terminal, lines elsewhere."""
    console = Console(stderr=True)
    return Bars(console, per_minute) if console.is_terminal else Lines(per_minute)


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
