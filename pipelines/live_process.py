"""``hatif live`` as a child of Dagster's code server, and its reports as Dagster's events.

A process of its own, since it holds the lake open, and a crash of DuckDB would take the code server
along. It ends when the code server does: its standard input ends then.

Its events belong to no run, and Dagster keeps them: so a table's materialization is reported every
half hour at most, and a check's result when it changes, or after hours.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

import dagster as dg
import msgspec

from assets.checks import as_asset_check
from assets.workspaces import TAG
from pipelines.terminal import own_program
from sync.check import CheckResult
from sync.live import Report

#: A process that ended sooner, without a pass, could not begin; after so many in turn it rests.
_SHORTEST_LIFE = 30.0  # seconds
_STARTS = 3
#: Seconds to wait for the last reports of a process that has ended.
_LAST_REPORTS = 1.0
_REST = 600.0
#: How long an event stands for those that would say the same.
_MATERIALIZED_EVERY, _CHECKED_EVERY = 1_800.0, 21_600.0
#: A run after a failure, or for a backlog, is requested once in so many seconds.
_RUN_EVERY = 600.0


@dataclass(slots=True)
class Heard:
    """What the process reported since the last look.

    Attributes:
        works: whether there is one: it looks for files, or begins to.
        reports: in their order.
    """

    works: bool = False
    reports: list[Report] = field(default_factory=list)


class LiveProcess:
    """Starts the process where there is none, and collects its reports.

    Args:
        command: what is run.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = command or (str(own_program()), "live", "--reports")
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._has_worked = False
        self._short_lives = 0
        self._rests_until = 0.0
        self._lock = threading.Lock()
        self._listener = threading.Thread()
        self._reports: list[Report] = []

    def tend(self) -> Heard:
        """See that the process runs; return what it reported."""
        now = time.monotonic()
        if self._process is not None and not self.is_running:
            self._listener.join(_LAST_REPORTS)
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._note_end(now)
            if self._process is None and now >= self._rests_until:
                self._start(now)
            self._renew()
            heard = Heard(self._process is not None, self._reports)
            self._reports = []
        return heard

    def _renew(self) -> None:
        """Let the process go on: it ends when it hears nothing, as when the sensor is off."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has just ended, which the next look finds
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()

    def _note_end(self, now: float) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process = None
        is_short = not self._has_worked and now - self._started < _SHORTEST_LIFE
        self._short_lives = self._short_lives + 1 if is_short else 0
        if self._short_lives == _STARTS:
            self._short_lives, self._rests_until = 0, now + _REST

    @property
    def is_running(self) -> bool:
        """Whether there is a process, which may be about to end."""
        return self._process is not None and self._process.poll() is None

    def release(self) -> None:
        """Let the process end what it is at, and end; do not wait for it."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()

    def stop(self) -> None:
        """Let the process end what it is at, and end."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):  # it has just ended
                process.stdin.close()
            process.wait()
            self._listener.join()

    def _start(self, now: float) -> None:
        self._started, self._has_worked = now, False
        process = subprocess.Popen(  # noqa: S603 - our own program
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process = process
        self._listener = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        self._listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                report = msgspec.json.decode(line, type=Report)
                with self._lock:
                    self._reports.append(report)
                    self._has_worked = self._has_worked or report.passes > 0


@dataclass(slots=True)
class Told:
    """What a tick of the sensor has to say of reports.

    Attributes:
        runs: requested.
        events: of Dagster, without a run.
        summary: a sentence.
    """

    runs: list[dg.RunRequest]
    events: list[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation]
    summary: str


class Teller:
    """Turns reports into what a tick of the sensor returns.

    Args:
        workspace: whose they are, where there are several.
    """

    def __init__(self, workspace: str | None = None) -> None:
        self._workspace = workspace
        self._materialized: dict[str, float] = {}
        self._checked: dict[tuple[tuple[str, str], str], tuple[str | None, float]] = {}
        self._run_at = 0.0
        self._since: Report = Report()

    def result(self, heard: Heard, record: dg.RunRecord | None) -> dg.SensorResult:
        """Return the events of reports, and a run where one is needed; see `tell`."""
        told = self.tell(heard, record)
        return dg.SensorResult(
            run_requests=told.runs,
            asset_events=told.events,
            skip_reason=None if told.runs else told.summary,
        )

    def tell(self, heard: Heard, record: dg.RunRecord | None) -> Told:
        """Return what there is to say of reports.

        Args:
            heard: the reports.
            record: the last run of webhooks; another is requested when it has ended.
        """
        total = Report()
        for report in heard.reports:
            total.add(report)
        self._since.add(total)
        now = time.monotonic()
        told = Told([], [], _summary(total))
        is_free = record is None or record.dagster_run.is_finished
        if (total.backlog or total.broken) and is_free and now >= self._run_at:
            self._run_at = now + _RUN_EVERY
            told.runs.append(run_request(self._workspace))
        told.events += self._materializations(total, now)
        told.events += self._evaluations(total.results, now)
        if told.events:
            self._since = Report()
        return told

    def _materializations(self, total: Report, now: float) -> Iterator[dg.AssetMaterialization]:
        for table, rows in total.rows.items():
            if now < self._materialized.get(table, 0.0):
                continue
            self._materialized[table] = now + _MATERIALIZED_EVERY
            yield dg.AssetMaterialization(
                asset_key=table.split("."),
                description="Brought up to new webhook files, without a run.",
                partition=self._workspace,
                metadata={
                    "dagster/row_count": rows,
                    "new_deliveries": self._since.deliveries,
                    "passes": self._since.passes,
                    "seconds": round(self._since.seconds, 3),
                    "processor_seconds": round(self._since.processor, 3),
                },
            )

    def _evaluations(
        self, results: Sequence[CheckResult], now: float
    ) -> Iterator[dg.AssetCheckEvaluation]:
        for result in results:
            before, until = self._checked.get(result.key, (None, 0.0))
            if before == result.message and now < until:
                continue
            self._checked[result.key] = result.message, now + _CHECKED_EVERY
            found = as_asset_check(result)
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(result.table),
                check_name=result.name,
                passed=found.passed,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata,
                partition=self._workspace,
            )


def run_request(workspace: str | None, run_key: str | None = None) -> dg.RunRequest:
    """Return a request for a run, of a workspace where there are several."""
    if workspace is None:
        return dg.RunRequest(run_key=run_key)
    return dg.RunRequest(run_key=run_key, partition_key=workspace, tags={TAG: workspace})


def _summary(total: Report) -> str:
    if total.broken:
        return "; ".join(total.broken)
    if total.backlog:
        return f"{total.backlog >> 20:,} MiB of webhook files are left to a run"
    if not total.passes:
        return "nothing new"
    return f"new deliveries: {total.deliveries:,}, passes: {total.passes}, {total.seconds:.1f} s"


#: The code server's own.
LIVE, TELLER = LiveProcess(), Teller()
