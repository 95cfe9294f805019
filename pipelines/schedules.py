"""When the jobs run. A tick is skipped, with its reason, while another sync is under way.

All are switched on: without credentials, and while an outage lasts, their ticks are skipped, too.
Of several workspaces each has its own reasons, and a run of its own.
"""

from collections.abc import Callable, Sequence
from contextlib import closing

import dagster as dg

from assets import outages
from hatif.errors import HatifError, HomeError, SettingsError
from pipelines import jobs, ticks
from pipelines.retention import tidy_runs_schedule
from pipelines.side_by_side import SideBySide
from warehouse.lake.connection import Lake
from warehouse.lake.locks import API
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

_ZONE = "Asia/Riyadh"

#: Job and cron: never at the same minute, or one of the two would be skipped.
_TIMES = (
    (jobs.hot_sync.name, "*/15 * * * *"),
    (jobs.contacts_sync.name, "7 * * * *"),
    (jobs.deep_pass.name, "37 * * * *"),
    (jobs.reconcile.name, "22 2 * * *"),
)


#: Why no run of a job can begin now, None where one can; by the tick and the settings of one of
#: several workspaces.
Reason = Callable[[dg.ScheduleEvaluationContext, Settings | None], str | None]


def skip_reason(instance: dg.DagsterInstance, settings: Settings | None = None) -> str | None:
    """Return why no sync can begin now, None when one can.

    Args:
        instance: that keeps the runs.
        settings: of one of several workspaces; None where there is one.
    """
    try:
        settings = settings or Settings.load()
        settings.credentials()
    except SettingsError as error:
        return str(error)
    outage = outages.standing(instance, settings.workspace)
    if outage is not None:
        return f"outage {outage}: the sensor service_outage looks when it is over"
    try:
        with closing(Store.of(settings).locks) as locks:
            holder = locks.holder(API)
    except HomeError:
        return None  # the run will fail of it: ticks that are skipped alert nobody
    return holder and f"another sync is under way: {holder}"


def _no_sync(context: dg.ScheduleEvaluationContext, settings: Settings | None) -> str | None:
    return skip_reason(context.instance, settings)


def _no_lake(_: dg.ScheduleEvaluationContext, settings: Settings | None) -> str | None:
    """Return why there is nothing to maintain, None where there is."""
    try:
        Lake(settings or Settings.load(), read_only=True).close()
    except HatifError as error:
        return str(error)
    return None


def schedule(
    job: str,
    cron: str,
    workspaces: Sequence[str] = (),
    description: str | None = None,
    reason: Reason = _no_sync,
) -> dg.ScheduleDefinition:
    """Return the schedule that runs a job at the times of `cron`, in Riyadh's time; it is on.

    Args:
        job: its name.
        cron: when.
        workspaces: names of several, each of which has a run of its own.
        description: of the schedule; by default that of a sync's.
        reason: why a tick is skipped.
    """

    @dg.schedule(
        name=f"{job}_schedule",
        job_name=job,
        cron_schedule=cron,
        execution_timezone=_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description
        or f"Runs the job {job}; skipped while another sync is under way, and while an outage "
        "lasts.",
    )
    def tick(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.RunRequest | dg.SkipReason:
        try:
            if workspaces:
                return _of_each(context, workspaces, reason)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        why = reason(context, None)
        return dg.RunRequest() if why is None else dg.SkipReason(why)

    return tick


def _of_each(
    context: dg.ScheduleEvaluationContext, workspaces: Sequence[str], reason: Reason
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request a run for each workspace of which one can begin.

    Raises:
        SettingsError: the environment or the file of workspaces as a whole cannot be used.
    """
    settings, reasons = ticks.settings_of(workspaces)
    _ = context.instance  # which it opens when it is first asked for, here and not in each thread
    answers = SideBySide[str | None]().call(settings, lambda name: reason(context, settings[name]))
    reasons |= ticks.errors_of(answers, context.log)
    reasons |= {name: found.value for name, found in answers.items() if found.value is not None}
    # Once a tick, also where the daemon is interrupted in the middle of one.
    requests = [ticks.request(name, name) for name in settings if name not in reasons]
    return ticks.result(context.log, requests, reasons)


def _maintenance_schedule(workspaces: Sequence[str] = ()) -> dg.ScheduleDefinition:
    return schedule(
        jobs.maintenance.name,
        "52 3 * * *",
        workspaces,
        "Keeps the lake small, every night. It takes turns with whatever writes.",
        _no_lake,
    )


def schedules_of(workspaces: Sequence[str]) -> list[dg.ScheduleDefinition]:
    """Return all schedules for several workspaces."""
    syncs = [schedule(job, cron, workspaces) for job, cron in _TIMES]
    return [*syncs, _maintenance_schedule(workspaces), tidy_runs_schedule]


maintenance_schedule = _maintenance_schedule()
SCHEDULES = [
    *(schedule(job, cron) for job, cron in _TIMES),
    maintenance_schedule,
    tidy_runs_schedule,
]
