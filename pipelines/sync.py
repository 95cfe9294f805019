"""The main job from the command line: the same Dagster assets, run in this process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.checks import raw_key
from assets.webhooks import WEBHOOKS_KEY
from hatif.errors import ServiceError, SettingsError
from hatif.progress import Progress, StreamResult
from hatif.streams import STREAMS
from pipelines import jobs, unrecorded
from pipelines.definitions import build_defs
from pipelines.output import count
from sync.session import RunOptions, Session, open_session
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.reports import status
from warehouse.settings.environment import Settings


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

    results: dict[str, StreamResult]
    broken: list[str]
    requests: int
    seconds: float
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
        }


def sync(
    settings: Settings,
    streams: list[str],
    options: RunOptions,
    progress: Progress,
    only: str | None = None,
) -> Outcome:
    """Sync through the Dagster assets: the service, then webhook files, then what is made of both.

    Three jobs one after the other, so that a stream that fails keeps nothing from the models.

    Args:
        settings: of this home.
        streams: names; empty for all. Webhook files are left alone where some are named.
        options: how.
        progress: listener to the run's progress.
        only: `api`, `webhooks` or `models`; None for all three.

    Raises:
        HatifError: the run could not begin.
    """
    wanted = [name for name in STREAMS if not streams or name in streams]
    with _instance() as instance:
        began = time.monotonic()  # after Dagster has loaded itself: that is no part of the sync
        if only in (None, "api"):
            try:
                with open_session(settings, options, progress) as session:
                    outcome = _read_service(settings, session, wanted, instance)
                    if only is None:
                        _compute(settings, session.lake, instance, outcome, files=not streams)
            except ServiceError as error:
                # It could not begin; what lies in the home already is computed all the same.
                with open_lake(settings) as lake:
                    with lake.reading() as connection:
                        spent = status.last_runs(connection, limit=1)[0]["requests"]
                    outcome = Outcome({}, [], spent, 0.0, not_read=str(error))
                    if only is None:
                        _compute(settings, lake, instance, outcome, files=not streams)
        else:
            outcome = Outcome({}, [], 0, 0.0)
            with open_lake(settings) as lake:
                _compute(settings, lake, instance, outcome, files=only == "webhooks")
        outcome.seconds = time.monotonic() - began
        return outcome


def _read_service(
    settings: Settings, session: Session, streams: list[str], instance: dg.DagsterInstance
) -> Outcome:
    selection = dg.AssetSelection.assets(*map(raw_key, streams)).required_multi_asset_neighbors()
    defs = _definitions(settings, session.lake, session)
    result = _execute(defs, jobs.full_sync.name, instance, selection, session.mode)
    results = {
        name: session.results.get(name) or StreamResult(name, status="skipped") for name in streams
    }
    # What a stream left for the next run, or cannot have, is not certified, and no failure; the
    # result of one that failed has its reason.
    reported = {name for name, one in results.items() if one.status != "done"}
    return Outcome(results, _broken(result, reported), session.requests, 0.0)


def _compute(
    settings: Settings,
    lake: Lake,
    instance: dg.DagsterInstance,
    outcome: Outcome,
    *,
    files: bool,
) -> None:
    """Read webhook files if `files`, and bring messages, calls and marts up to what is stored."""
    defs = _definitions(settings, lake)
    result = _execute(defs, (jobs.webhooks if files else jobs.models).name, instance)
    outcome.broken += _broken(result, set())
    for event in result.get_asset_materialization_events():
        if event.asset_key == WEBHOOKS_KEY:
            metadata = event.materialization.metadata
            outcome.webhook_events = int(str(metadata["new_deliveries"].value))
            outcome.webhook_rejects = int(str(metadata["rejects"].value))


def _definitions(settings: Settings, lake: Lake, session: Session | None = None) -> dg.Definitions:
    opened = dg.ResourceDefinition.hardcoded_resource
    return build_defs(opened(session), opened(lake), opened(settings))


def _execute(
    defs: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    selection: dg.AssetSelection | None = None,
    mode: str | None = None,
) -> dg.ExecuteInProcessResult:
    keys = None if selection is None else list(selection.resolve(defs.resolve_asset_graph()))
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        asset_selection=keys,
        raise_on_error=False,
        tags={"launched_by": "hatif sync"} | ({"mode": mode} if mode else {}),
        # The session's progress shows what happened; Dagster keeps its own event log.
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def _why(event: dg.DagsterEvent) -> str:
    """Return why a step failed, in the words of our own error where it was one."""
    failure = event.step_failure_data.user_failure_data
    return (failure and failure.description) or "the step failed"


def _broken(result: dg.ExecuteInProcessResult, reported: set[str]) -> list[str]:
    """Return failed checks and steps of a job, without those of streams already `reported`."""
    broken = [
        f"{check.asset_key.path[-1]}: the check {check.check_name} failed"
        for check in result.get_asset_check_evaluations()
        if not check.passed
        and check.severity == dg.AssetCheckSeverity.ERROR
        and check.asset_key.path[-1] not in reported
    ]
    if not result.success:
        reason = result.get_run_failure_event().job_failure_data.failure_reason
        if reason is not None and reason.name == "UNEXPECTED_TERMINATION":
            raise KeyboardInterrupt  # Dagster has recorded it and raised nothing
        broken += [
            f"{event.step_key}: {_why(event)}"
            for event in result.get_step_failure_events()
            if event.step_key not in reported
        ]
    return broken


def _instance() -> dg.DagsterInstance:
    """Return the instance that keeps the run: DAGSTER_HOME's, so that the UI shows it, else none.

    Raises:
        SettingsError: DAGSTER_HOME cannot be used.
    """
    if not os.environ.get("DAGSTER_HOME"):
        return unrecorded.instance()
    try:
        instance = dg.DagsterInstance.get()
        instance.get_runs(limit=1)  # opens its storage
    except Exception as error:  # noqa: BLE001 - a file of the user's can be wrong in any way
        raise SettingsError(
            "DAGSTER_HOME: must be the absolute path of a folder that Dagster can write to, with a "
            f"sound dagster.yaml ({type(error).__name__}); `make ui` makes one, .dagster in the "
            "checkout"
        ) from None
    return instance
