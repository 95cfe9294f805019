"""Ends runs whose process is gone: each would take the place of another for ever."""

from __future__ import annotations

import dagster as dg

from assets import processes

_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notes runs as failed whose process on this machine is gone, as after a power "
    "failure: they would take the place of others for ever. Dagster launches them again. On.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """End them; return how many."""
    instance, lost = context.instance, 0
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY)):
        if not processes.is_lost(run):
            continue
        current = instance.get_run_by_id(run.run_id)  # it may have ended while we looked
        if current is not None and current.status in _UNDER_WAY:
            instance.report_run_failed(current, "The process of this run is gone.")
            lost += 1
    return dg.SkipReason(f"runs whose process was gone: {lost}" if lost else "none is lost")
