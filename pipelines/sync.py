"""The main job from the command line: the same Dagster assets, run in this process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.checks import raw_key
from assets.merged import MERGED_KEYS
from assets.session import RunOptions, Session, open_session
from hatif.catalogue import STREAMS
from hatif.errors import SettingsError
from hatif.progress import Progress, StreamResult
from hatif.settings import Settings
from pipelines.definitions import build_defs
from pipelines.jobs import full_sync
from pipelines.output import count


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sync went.

    Attributes:
        results: for every stream asked for; `skipped` where its parent failed.
        broken: statements about the warehouse that should hold and do not.
        requests: HTTP attempts, tokens included.
        seconds: from start to end, waiting for another sync included.
    """

    results: dict[str, StreamResult]
    broken: list[str]
    requests: int
    seconds: float

    @property
    def rejects(self) -> int:
        """Records set aside."""
        return sum(result.rejects for result in self.results.values())

    @property
    def complaints(self) -> list[str]:
        """What went wrong, each thing once."""
        said = [r.message for r in self.results.values() if r.message and r.status != "stopped"]
        said += [
            f"{r.stream}: skipped, since {STREAMS[r.stream].parent} failed"
            for r in self.results.values()
            if r.status == "skipped"
        ]
        if self.rejects:
            said.append(f"{count(self.rejects, 'record')} set aside; see ops.rejects")
        said += self.broken
        return list(dict.fromkeys(said))

    @property
    def stopped(self) -> str | None:
        """What is left for the next run because this one's requests were used up."""
        left = [result for result in self.results.values() if result.status == "stopped"]
        if not left:
            return None
        lists = sum(result.backlog for result in left)
        waiting = f"; {count(lists, 'list')} wait for the next run" if lists else ""
        streams = ", ".join(result.stream for result in left)
        return f"{left[0].message}; not read to the end: {streams}{waiting}"

    @property
    def ok(self) -> bool:
        """Whether everything asked for was done, or left for the next run on purpose."""
        return (
            not self.rejects
            and not self.broken
            and all(
                result.status in ("done", "stopped", "unavailable")
                for result in self.results.values()
            )
        )

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
            "webhook_events": 0,
            "rejects": self.rejects,
            "seconds": round(self.seconds, 3),
        }


def sync(
    settings: Settings,
    streams: list[str],
    options: RunOptions,
    progress: Progress,
) -> Outcome:
    """Sync streams through their Dagster assets.

    Args:
        settings: of this home.
        streams: names; empty for all.
        options: how.
        progress: whom to tell.

    Raises:
        HatifError: the run could not begin.
    """
    wanted = [name for name in STREAMS if not streams or name in streams]
    with _instance() as instance:
        began = time.monotonic()  # after Dagster has loaded itself: that is no part of the sync
        with open_session(settings, options, progress) as session:
            broken = _run(session, wanted, instance)
            results = {
                name: session.results.get(name) or StreamResult(name, status="skipped")
                for name in wanted
            }
            return Outcome(results, broken, session.requests, time.monotonic() - began)


def _run(session: Session, streams: list[str], instance: dg.DagsterInstance) -> list[str]:
    """Execute the job for these streams; return what does not hold afterwards."""
    opened = dg.ResourceDefinition.hardcoded_resource
    defs = build_defs(opened(session), opened(session.lake))
    keys = [raw_key(name) for name in streams]
    if "timelines" in streams:
        keys += MERGED_KEYS
    selection = dg.AssetSelection.assets(*keys).required_multi_asset_neighbors()
    result = defs.resolve_job_def(full_sync.name).execute_in_process(
        instance=instance,
        asset_selection=list(selection.resolve(defs.resolve_asset_graph())),
        raise_on_error=False,
        # What happened is told by the session's progress; Dagster keeps its own event log.
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    # What a stream left for the next run, or cannot have, is not certified, and no failure.
    left = {
        name for name, told in session.results.items() if told.status in ("stopped", "unavailable")
    }
    broken = [
        f"{check.asset_key.path[-1]}: the check {check.check_name} failed"
        for check in result.get_asset_check_evaluations()
        if not check.passed
        and check.severity == dg.AssetCheckSeverity.ERROR
        and check.asset_key.path[-1] not in left
    ]
    if not result.success:
        reason = result.get_run_failure_event().job_failure_data.failure_reason
        if reason is not None and reason.name == "UNEXPECTED_TERMINATION":
            raise KeyboardInterrupt  # Dagster has noted it and kept it to itself
        known = {name for name, told in session.results.items() if told.status == "failed"}
        steps = [event.step_key or "?" for event in result.get_step_failure_events()]
        broken += [f"{step}: the step failed" for step in steps if step not in known]
    return broken


def _instance() -> dg.DagsterInstance:
    """Return the instance that keeps the run: DAGSTER_HOME's, so that the UI shows it, else none.

    Raises:
        SettingsError: DAGSTER_HOME cannot be used.
    """
    if not os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.ephemeral()
    try:
        return dg.DagsterInstance.get()
    except (dg.DagsterError, OSError):
        raise SettingsError(
            "DAGSTER_HOME: must be the absolute path of a folder that Dagster can write to; "
            "`make ui` makes one, .dagster in the checkout"
        ) from None
