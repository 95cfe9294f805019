"""What follows from a sync is computed when it has ended: where anything changed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import dagster as dg

from assets import outages
from assets.workspaces import PARTITION
from hatif.errors import HatifError, SettingsError
from pipelines import jobs, ticks
from pipelines.side_by_side import SideBySide
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists
from warehouse.settings.environment import Settings

_SECONDS = 15
#: Without anything new they are still brought up to date so often: a setting may have changed, and
#: the freshness policies count the seconds since.
_AT_LEAST_EVERY = 3_600
_ABOUT = (
    "Computes what hangs on a sync when one has ended and stored anything new: "
    "even one that failed has stored what it could read. With nothing new, once an hour after "
    "one that succeeded. On."
)
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_COMPUTING = (jobs.models.name, jobs.webhooks.name)


def _after(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"models_after_{status.value.lower()}",
        monitored_jobs=jobs.SYNCS,
        request_job=jobs.models,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=_ABOUT,
    )
    def after(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        try:
            reason = _nothing_to_compute(Settings.load())
        except HatifError as error:
            return dg.SkipReason(str(error))
        is_turn = status is dg.DagsterRunStatus.SUCCESS and _is_long_ago(context.instance)
        return dg.SkipReason(reason) if reason and not is_turn else dg.RunRequest()

    return after


def _nothing_to_compute(settings: Settings) -> str | None:
    """Return why nothing has to be computed, None where something has.

    Raises:
        HatifError: there is no lake that could be read.
    """
    with Lake(settings, read_only=True, threads=1) as lake, lake.reading() as connection:
        return None if exists(connection, "FROM ops.outdated") else "nothing changed"


def _is_long_ago(instance: dg.DagsterInstance, workspace: str | None = None) -> bool:
    """Whether messages, calls and marts were last brought up to date longer ago than they may."""
    tags = {PARTITION: workspace} if workspace else {}
    for job in _COMPUTING:
        newest = instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], tags=tags), limit=1
        )
        if newest and time.time() - (newest[0].end_time or 0) < _AT_LEAST_EVERY:
            return False
    return True


def models_after_sync(workspaces: Sequence[str]) -> dg.SensorDefinition:
    """Return the sensor that does this for several workspaces, each by itself.

    Its cursor has the last run of each that was looked at: one whose lake cannot be opened is
    looked at again by the next tick.
    """
    looks = SideBySide[str | None]()

    @dg.sensor(
        name="models_after_sync",
        job_name=jobs.models.name,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Of each workspace by itself: {_ABOUT}",
    )
    def after(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            settings, reasons = ticks.settings_of(workspaces)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        instance, cursor = context.instance, json.loads(context.cursor or "{}")
        ended = {
            name: run
            for name in settings
            if (run := _last_sync(instance, name)) and cursor.get(name) != run.run_id
        }
        answers = looks.call(ended, lambda name: _nothing_to_compute(settings[name]))
        reasons |= ticks.errors_of(answers, context.log)
        requests = []
        for name in ended.keys() - reasons.keys():
            run, reason = ended[name], answers[name].value
            cursor[name] = run.run_id
            is_turn = run.status is dg.DagsterRunStatus.SUCCESS and _is_long_ago(instance, name)
            if reason is None or is_turn:
                requests.append(ticks.request(name, f"after {run.run_id}"))
            else:
                reasons[name] = reason
        context.update_cursor(json.dumps(cursor))
        return ticks.result(context.log, requests, reasons or {"all": "no sync has ended"})

    return after


def _last_sync(instance: dg.DagsterInstance, workspace: str) -> dg.DagsterRun | None:
    """Return the run of a workspace that called the service and ended last."""
    tags = {**outages.CALLS_SERVICE, PARTITION: workspace}
    newest = instance.get_run_records(
        dg.RunsFilter(tags=tags, statuses=_ENDED), limit=1, order_by="update_timestamp"
    )
    return newest[0].dagster_run if newest else None


SENSORS = [_after(status) for status in _ENDED]
