"""The main job from the command line.

With DAGSTER_HOME it is run as Dagster's jobs, so that the UI shows it; else the same steps are run
without Dagster, whose start alone would take longer than a sync that has nothing to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from hatif.errors import ServiceError
from hatif.reading import Progress, StreamResult
from hatif.streams import STREAMS
from pipelines.forecast import Plan
from pipelines.terminal import count
from sync import run
from sync.run import Computed
from sync.session import RunOptions, Session, open_session
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.reports import status
from warehouse.settings.environment import Settings


class Runner(Protocol):
    """Runs the steps of a sync; see `sync.run`, which is one."""

    def read_service(
        self, session: Session, streams: Sequence[str]
    ) -> tuple[dict[str, StreamResult], list[str]]:
        """Read streams; return their results and the checks that failed."""

    def stages(self, *, files: bool) -> list[str]:
        """Return the names of the parts of computing, which `compute` calls `stage` with."""

    def compute(
        self, lake: Lake, settings: Settings, *, files: bool, stage: Callable[[str], None]
    ) -> Computed:
        """Read webhook files if `files`; bring messages, calls and marts up to date."""


@dataclass(slots=True)
class Outcome:
    """How a sync went.

    Attributes:
        results: for every stream requested; `skipped` where its parent failed.
        broken: statements about the warehouse that should hold and do not.
        requests: HTTP attempts, tokens included.
        seconds: from start to end, waiting for another sync included.
        webhook_events: deliveries newly accepted.
        webhook_rejects: deliveries and files set aside.
        not_read: why the service was not read at all, None when it was.
    """

    results: dict[str, StreamResult] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0
    webhook_events: int = 0
    webhook_rejects: int = 0
    not_read: str | None = None

    @property
    def rejects(self) -> int:
        """Records and deliveries set aside."""
        return self.webhook_rejects + sum(result.rejects for result in self.results.values())

    @property
    def unacknowledged(self) -> int:
        """Those of them that are not acknowledged."""
        return self.rejects - sum(result.acknowledged for result in self.results.values())

    @property
    def complaints(self) -> list[str]:
        """What went wrong, each thing once."""
        sentences = [self.not_read] if self.not_read else []
        sentences += [
            r.message
            for r in self.results.values()
            if r.message and r.status not in ("stopped", "done")
        ]
        sentences += [
            f"{r.stream}: skipped, since {STREAMS[r.stream].parent} failed"
            for r in self.results.values()
            if r.status == "skipped"
        ]
        if self.unacknowledged:
            sentences.append(
                f"{count(self.unacknowledged, 'record')} set aside; see: hatif rejects"
            )
        sentences += self.broken
        return list(dict.fromkeys(sentences))

    @property
    def notes(self) -> list[str]:
        """What is worth knowing of streams that are done."""
        return [r.message for r in self.results.values() if r.message and r.status == "done"]

    @property
    def left(self) -> dict[str, int]:
        """Lists left for the next run because this one's requests were used up, by stream.

        Those known by now: what is read next may show more.
        """
        stopped = (result for result in self.results.values() if result.status == "stopped")
        return {result.stream: result.backlog for result in stopped}

    @property
    def stopped(self) -> str | None:
        """Why lists are left, and what reads them."""
        first = next((r for r in self.results.values() if r.status == "stopped"), None)
        return None if first is None else f"{first.message}; run again: hatif sync"

    @property
    def ok(self) -> bool:
        """Whether everything requested was done, or left for the next run on purpose."""
        return (
            not self.unacknowledged
            and self.not_read is None
            and not self.broken
            and all(
                result.status in ("done", "stopped", "unavailable")
                for result in self.results.values()
            )
        )

    @property
    def summary(self) -> str:
        """The end of a sync: a line, and one that begins with ``left:`` where lists are left."""
        parts = [count(sum(r.rows_stored for r in self.results.values()), "record")]
        parts[0] += " new or changed"
        if deleted := sum(r.deleted for r in self.results.values()):
            parts.append(f"{deleted:,} deleted in the service")
        parts += [count(self.requests, "request"), count(self.webhook_events, "webhook event")]
        line = f"{', '.join(parts)}, {self.seconds:.1f} s"
        if self.left:
            streams = ", ".join(f"{number:,} of {name}" for name, number in self.left.items())
            line += f"\nleft: {count(sum(self.left.values()), 'list')} ({streams})"
        return line

    def as_json(self) -> dict[str, Any]:
        """Return what ``hatif sync --json`` prints."""
        return {
            "streams": {
                name: {
                    "rows_read": result.rows_read,
                    "rows_changed": result.rows_changed,
                    "requests": result.requests,
                    "status": result.status,
                }
                for name, result in self.results.items()
            },
            "requests": self.requests,
            "webhook_events": self.webhook_events,
            "rejects": self.rejects,
            "seconds": round(self.seconds, 3),
        } | ({"left": self.left} if self.left else {})


def sync(
    settings: Settings,
    streams: list[str],
    options: RunOptions,
    progress: Progress,
    only: str | None = None,
    stage: Callable[[str], None] = run.no_stages,
    expect: Callable[[Plan], None] = lambda _: None,
) -> Outcome:
    """Sync: the service, then webhook files, then what is made of both.

    One after the other, so that a stream that fails keeps nothing from the models.

    Args:
        settings: of this home.
        streams: names; empty for all. Webhook files are left alone where some are named.
        options: how.
        progress: listener to the run's progress.
        only: `api`, `webhooks` or `models`; None for all three.
        stage: called with the name of each part of computing that begins.
        expect: called with what a run that reads the service is going to do.

    Raises:
        HatifError: the run could not begin.
    """
    wanted = [name for name in STREAMS if not streams or name in streams]
    with _runner(settings.workspace) as runner:
        began = time.monotonic()  # after Dagster has loaded itself: that is no part of the sync
        outcome = Outcome()
        compute = partial(_compute, runner, settings, stage)
        if only in (None, "api"):
            try:
                with open_session(settings, options, progress) as session:
                    computing = runner.stages(files=not streams) if only is None else []
                    left = partial(getattr, session, "requests_left")
                    expect(Plan([*wanted, *computing], session.lists_due, left))
                    outcome.results, outcome.broken = runner.read_service(session, wanted)
                    outcome.requests = session.requests
                    if only is None:
                        compute(session.lake, outcome, files=not streams)
            except ServiceError as error:
                # It could not begin; what lies in the home already is computed all the same.
                outcome.not_read = str(error)
                with open_lake(settings) as lake:
                    with lake.reading() as connection:
                        outcome.requests = status.last_runs(connection, limit=1)[0]["requests"]
                    if only is None:
                        compute(lake, outcome, files=not streams)
        else:
            with open_lake(settings) as lake:
                compute(lake, outcome, files=only == "webhooks")
        outcome.seconds = time.monotonic() - began
        return outcome


def _compute(
    runner: Runner,
    settings: Settings,
    stage: Callable[[str], None],
    lake: Lake,
    outcome: Outcome,
    *,
    files: bool,
) -> None:
    computed = runner.compute(lake, settings, files=files, stage=stage)
    outcome.broken += computed.broken
    outcome.webhook_events, outcome.webhook_rejects = computed.deliveries, computed.rejects


@contextmanager
def _runner(workspace: str | None) -> Iterator[Runner]:
    """Lend the runner: Dagster's where there is a DAGSTER_HOME, else the plain one.

    Raises:
        SettingsError: DAGSTER_HOME cannot be used.
    """
    if not os.environ.get("DAGSTER_HOME"):
        yield run
        return
    from pipelines import recorded

    with recorded.instance() as instance:
        yield recorded.Recorded(instance, workspace)
