"""How long Dagster remembers runs. What they brought is in the lake and stays; this is history.

Dagster purges old ticks by itself (``retention`` in ``dagster.yaml``); runs it keeps for ever, some
two hundred a day here, each with files of its own.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

KEEP = timedelta(days=30)
_AT_ONCE = 100
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Forget the runs that ended before an instant, with their events and logs; return how many."""
    forgotten = 0
    while records := instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_before=before), limit=_AT_ONCE, ascending=True
    ):
        for record in records:
            run_id = record.dagster_run.run_id
            instance.delete_run(run_id)
            for left in _files_of(instance, run_id):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            forgotten += 1
    return forgotten


def _files_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """What a local instance leaves of a deleted run: an empty file of events, and its output."""
    if instance.is_ephemeral:
        return
    root = Path(instance.root_directory)
    yield from (root / "history" / "runs").glob(f"{run_id}.db*")
    yield from (root / "storage").glob(run_id)


@dg.op(out=dg.Out(dg.Nothing))
def forget_old_runs(context: dg.OpExecutionContext) -> None:
    """Forget what is older than `KEEP`."""
    forgotten = forget_runs(context.instance, datetime.now(UTC) - KEEP)
    context.log.info("runs forgotten: %s", forgotten)
    context.add_output_metadata({"runs_forgotten": forgotten})


@dg.job(description=f"Forgets Dagster's own record of runs that ended {KEEP.days} days ago.")
def tidy_runs() -> None:
    """One step."""
    forget_old_runs()


tidy_runs_schedule = dg.ScheduleDefinition(
    name="tidy_runs_schedule",
    job=tidy_runs,
    cron_schedule="57 3 * * *",
    execution_timezone="Asia/Riyadh",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Every night: forgets runs that ended {KEEP.days} days ago.",
)
