"""What follows from a sync is computed when it has ended: where anything changed."""

from __future__ import annotations

import time

import dagster as dg

from hatif.errors import HatifError
from pipelines import jobs
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists
from warehouse.settings.environment import Settings

_SECONDS = 15
#: Without anything new they are still brought up to date so often: a setting may have changed, and
#: the freshness policies count the seconds since.
_AT_LEAST_EVERY = 3_600
_COMPUTING = (jobs.models.name, jobs.webhooks.name)


def _after(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"models_after_{status.value.lower()}",
        monitored_jobs=jobs.SYNCS,
        request_job=jobs.models,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Computes what hangs on a sync when one has ended and stored anything new: "
        "even one that failed has stored what it could read. With nothing new, once an hour after "
        "one that succeeded. On.",
    )
    def after(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        try:
            reason = _nothing_to_compute()
        except HatifError as error:
            return dg.SkipReason(str(error))
        is_turn = status is dg.DagsterRunStatus.SUCCESS and _is_long_ago(context.instance)
        return dg.SkipReason(reason) if reason and not is_turn else dg.RunRequest()

    return after


def _nothing_to_compute() -> str | None:
    """Return why nothing has to be computed, None where something has.

    Raises:
        HatifError: there is no lake that could be read.
    """
    with Lake(Settings.load(), read_only=True, threads=1) as lake, lake.reading() as connection:
        return None if exists(connection, "FROM ops.outdated") else "nothing changed"


def _is_long_ago(instance: dg.DagsterInstance) -> bool:
    """Whether messages, calls and marts were last brought up to date longer ago than they may."""
    for job in _COMPUTING:
        newest = instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1
        )
        if newest and time.time() - (newest[0].end_time or 0) < _AT_LEAST_EVERY:
            return False
    return True


SENSORS = [_after(dg.DagsterRunStatus.SUCCESS), _after(dg.DagsterRunStatus.FAILURE)]
