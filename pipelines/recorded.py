"""A sync from the command line as Dagster's jobs, in this process: runs that the UI shows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import dagster as dg

from assets import processes
from assets.checks import raw_key
from assets.webhooks import WEBHOOKS_KEY
from assets.workspaces import TAG
from hatif.errors import SettingsError
from hatif.reading import StreamResult
from pipelines import jobs
from pipelines.definitions import build_defs
from sync.run import Computed, no_stages
from sync.session import Session
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings


def instance() -> dg.DagsterInstance:
    """Return DAGSTER_HOME's instance, which keeps the runs.

    Raises:
        SettingsError: DAGSTER_HOME cannot be used.
    """
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


#: What webhook files, messages, calls and marts are, as one stage.
_COMPUTING = "messages, calls and marts"


class Recorded:
    """Runs the steps of a sync as jobs of an instance; does what ``sync/run.py`` does.

    Args:
        instance: keeps the runs.
        workspace: whose they are, where there are several.
    """

    def __init__(self, instance: dg.DagsterInstance, workspace: str | None = None) -> None:
        self._instance = instance
        self._workspace = workspace

    def read_service(
        self, session: Session, streams: Sequence[str]
    ) -> tuple[dict[str, StreamResult], list[str]]:
        """Read streams; see `sync.run.read_service`."""
        opened = dg.ResourceDefinition.hardcoded_resource
        settings = dg.ResourceDefinition.none_resource()
        defs = self._defs(opened(session), opened(session.lake), settings)
        selection = dg.AssetSelection.assets(*map(raw_key, streams))
        result = self._execute(
            defs, jobs.full_sync.name, selection.required_multi_asset_neighbors(), session.mode
        )
        results = {
            name: session.results.get(name) or StreamResult(name, status="skipped")
            for name in streams
        }
        # What a stream left for the next run, or cannot have, is not certified, and no failure; the
        # result of one that failed has its reason.
        reported = {name for name, one in results.items() if one.status != "done"}
        return results, _broken(result, reported)

    def stages(self, *, files: bool) -> list[str]:  # noqa: ARG002 - one job in either case
        """Return the names of the parts of computing: one job."""
        return [_COMPUTING]

    def compute(
        self,
        lake: Lake,
        settings: Settings,
        *,
        files: bool,
        stage: Callable[[str], None] = no_stages,
    ) -> Computed:
        """Compute what follows from what is stored; see `sync.run.compute`."""
        stage(_COMPUTING)
        opened = dg.ResourceDefinition.hardcoded_resource
        defs = self._defs(opened(None), opened(lake), opened(settings))
        result = self._execute(defs, (jobs.webhooks if files else jobs.models).name)
        done = Computed(_broken(result, set()))
        for event in result.get_asset_materialization_events():
            if event.asset_key == WEBHOOKS_KEY:
                metadata = event.materialization.metadata
                done.deliveries = int(str(metadata["new_deliveries"].value))
                done.rejects = int(str(metadata["rejects"].value))
        return done

    def _defs(
        self,
        session: dg.ResourceDefinition,
        lake: dg.ResourceDefinition,
        settings: dg.ResourceDefinition,
    ) -> dg.Definitions:
        workspaces = [self._workspace] if self._workspace else []
        return build_defs(session, lake, settings, workspaces=workspaces)

    def _execute(
        self,
        defs: dg.Definitions,
        job: str,
        selection: dg.AssetSelection | None = None,
        mode: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        keys = None if selection is None else list(selection.resolve(defs.resolve_asset_graph()))
        run_id = str(uuid.uuid4())
        tags = processes.tag(run_id) | ({"mode": mode} if mode else {})
        if self._workspace:
            tags[TAG] = self._workspace
        return defs.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            asset_selection=keys,
            partition_key=self._workspace,
            run_id=run_id,
            raise_on_error=False,
            tags={"launched_by": "hatif sync"} | tags,
            # The session's progress shows what happened; Dagster keeps its own event log.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def _is_blocked(event: dg.DagsterEvent) -> bool:
    """Whether the step failed because of a blocking check, which is reported by itself."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"


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
            if event.step_key not in reported and not _is_blocked(event)
        ]
    return broken
