"""When the jobs run. A tick is skipped, with its reason, while another sync is under way.

All are switched on: without credentials, and while an outage lasts, their ticks are skipped, too.
"""

from contextlib import closing

import dagster as dg

from assets import outages
from hatif.errors import HatifError, HomeError, SettingsError
from pipelines import jobs
from pipelines.retention import tidy_runs_schedule
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


def skip_reason(instance: dg.DagsterInstance) -> str | None:
    """Return why no sync can begin now, None when one can."""
    try:
        settings = Settings.load()
        settings.credentials()
    except SettingsError as error:
        return str(error)
    outage = outages.standing(instance)
    if outage is not None:
        return f"outage {outage}: the sensor service_outage looks when it is over"
    try:
        with closing(Store.of(settings).locks) as locks:
            holder = locks.holder(API)
    except HomeError:
        return None  # the run will fail of it: ticks that are skipped alert nobody
    return holder and f"another sync is under way: {holder}"


def schedule(job: str, cron: str) -> dg.ScheduleDefinition:
    """Return the schedule that runs a job at the times of `cron`, in Riyadh's time; it is on."""

    @dg.schedule(
        name=f"{job}_schedule",
        job_name=job,
        cron_schedule=cron,
        execution_timezone=_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Runs the job {job}; skipped while another sync is under way, and while an "
        "outage lasts.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        reason = skip_reason(context.instance)
        return dg.RunRequest() if reason is None else dg.SkipReason(reason)

    return tick


@dg.schedule(
    job=jobs.maintenance,
    cron_schedule="52 3 * * *",
    execution_timezone=_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Keeps the lake small, every night. It takes turns with whatever writes.",
)
def maintenance_schedule() -> dg.RunRequest | dg.SkipReason:
    """Request a run where there is a lake."""
    try:
        Lake(Settings.load(), read_only=True).close()
    except HatifError as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest()


SCHEDULES = [
    *(schedule(job, cron) for job, cron in _TIMES),
    maintenance_schedule,
    tidy_runs_schedule,
]
