"""How long Dagster remembers runs. What they brought is in the lake and stays; this is history.

Dagster purges old ticks by itself (``retention`` in ``dagster.yaml``); runs it keeps for ever,
each with files of its own, some 1 MB. Syncs are two hundred a day. Under steady traffic runs of
webhooks, and of what follows from them, are thousands: successful ones are forgotten after hours.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from pipelines.jobs import models, webhooks

KEEP = timedelta(days=30)
#: Of the jobs that run whenever something arrives, successful runs are kept so long,
KEEP_FREQUENT = timedelta(hours=6)
#: and always so many of the latest: the catalog shows an asset's last run.
LATEST_KEPT = 50
_AT_ONCE = 100
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Forget the runs that ended before an instant, with their events and logs; return how many."""
    forgotten = 0
    while records := instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_before=before), limit=_AT_ONCE, ascending=True
    ):
        for record in records:
            _forget(instance, record)
            forgotten += 1
    return forgotten


def forget_frequent_runs(instance: dg.DagsterInstance, job: str, before: datetime) -> int:
    """Forget a job's runs that succeeded before an instant, but the latest; return how many."""
    of_job = dg.RunsFilter(job_name=job)
    latest = instance.get_run_records(of_job, limit=LATEST_KEPT)
    kept = {record.dagster_run.run_id for record in latest}
    old = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], updated_before=before)
    )
    spent = [record for record in old if record.dagster_run.run_id not in kept]
    for record in spent:
        _forget(instance, record)
    return len(spent)


def _forget(instance: dg.DagsterInstance, record: dg.RunRecord) -> None:
    """Forget a run with all that it left."""
    run_id = record.dagster_run.run_id
    instance.delete_run(run_id)
    for left in _files_of(instance, run_id):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _files_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """What a local instance leaves of a deleted run: an empty file of events, and its output."""
    if instance.is_ephemeral:
        return
    root = Path(instance.root_directory)
    yield from (root / "history" / "runs").glob(f"{run_id}.db*")
    yield from (root / "storage").glob(run_id)


@dg.op(out=dg.Out(dg.Nothing))
def forget_old_runs(context: dg.OpExecutionContext) -> None:
    """Forget what is older than `KEEP`, or `KEEP_FREQUENT`."""
    now = datetime.now(UTC)
    forgotten = forget_runs(context.instance, now - KEEP)
    for job in (webhooks.name, models.name):
        forgotten += forget_frequent_runs(context.instance, job, now - KEEP_FREQUENT)
    context.log.info("runs forgotten: %s", forgotten)
    context.add_output_metadata({"runs_forgotten": forgotten})


_ABOUT = (
    f"forgets runs that ended {KEEP.days} days ago, and successful ones of webhooks and models "
    "after six hours."
)


@dg.job(description=f"Of Dagster's own records, {_ABOUT}")
def tidy_runs() -> None:
    """One step."""
    forget_old_runs()


tidy_runs_schedule = dg.ScheduleDefinition(
    name="tidy_runs_schedule",
    job=tidy_runs,
    cron_schedule="57 * * * *",
    execution_timezone="Asia/Riyadh",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Every hour: {_ABOUT}",
)
