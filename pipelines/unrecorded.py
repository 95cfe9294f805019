"""The Dagster instance of a command without DAGSTER_HOME: it runs jobs and records no event.

Dagster's own instance for this keeps its event log in an SQLite database in memory, which goes with
the process; storing 500 events there took a third of the processor time of a sync that had nothing
to do. Nobody could read them: the caller has every event from the run itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.instance.types import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import InMemoryEventLogStorage
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage


class _NoEventLog(InMemoryEventLogStorage):
    """Keeps no event, so it knows no asset's last materialization either."""

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Drop an event."""

    def get_asset_records(
        self,
        asset_keys: Sequence[dg.AssetKey] | None = None,  # noqa: ARG002 - Dagster's signature
    ) -> Sequence[AssetRecord]:
        """Return none, without a query."""
        return []

    def fetch_observations(
        self,
        records_filter: dg.AssetKey | dg.AssetRecordsFilter,  # noqa: ARG002 - Dagster's signature
        limit: int,  # noqa: ARG002
        cursor: str | None = None,
        ascending: bool = False,  # noqa: ARG002
    ) -> dg.EventRecordsResult:
        """Return none, without a query."""
        return dg.EventRecordsResult([], cursor or "", has_more=False)


def instance() -> dg.DagsterInstance:
    """Return a new one; what a job did is in the result of its run."""
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),  # type: ignore[no-untyped-call]
        run_storage=InMemoryRunStorage(),
        event_storage=_NoEventLog(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )
