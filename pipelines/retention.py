"""How long Dagster remembers runs. What they brought is in the lake and stays; this is history.

Dagster purges old ticks by itself (``retention`` in ``dagster.yaml``); all else it keeps for ever:
runs, each with a file of its own, and, in tables of their own, results of checks and what was
reported without a run. ``benchmarks/seven_days.py`` shows that the storage stays bounded.
"""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from assets.workspaces import PARTITION, workspace_of
from pipelines.jobs import JOBS, models, webhooks

#: Any run is kept so long,
KEEP = timedelta(days=30)
#: one that succeeded so long, and what was reported without a run,
KEEP_SUCCESSFUL = timedelta(days=2)
#: of the jobs that run most often, and of this one, so long;
KEEP_FREQUENT = timedelta(hours=6)
#: and always so many of a job's latest: the catalog shows an asset's last run.
LATEST_KEPT = 50
#: Of several workspaces so many of each: its partitions are shown by the last run.
LATEST_OF_WORKSPACE = 3
_AT_ONCE = 100
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_OURS = "tidy_runs"
_FREQUENT = {webhooks.name, models.name, _OURS}
_NO_RUN = ""  # the id of the run that events without one have


def tidy(instance: dg.DagsterInstance, now: datetime) -> int:
    """Forget what is old enough at an instant; return how many runs."""
    forgotten = forget_runs(instance, now - KEEP)
    for job in (*(job.name for job in JOBS), _OURS):
        keep = KEEP_FREQUENT if job in _FREQUENT else KEEP_SUCCESSFUL
        forgotten += forget_successful_runs(instance, job, now - keep)
    forget_events_without_run(instance, now - KEEP_SUCCESSFUL, now - KEEP)
    return forgotten


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


def forget_successful_runs(instance: dg.DagsterInstance, job: str, before: datetime) -> int:
    """Forget a job's runs that succeeded before an instant, but the latest; return how many."""
    of_job = dg.RunsFilter(job_name=job)
    latest = instance.get_run_records(of_job, limit=LATEST_KEPT)
    kept = {record.dagster_run.run_id for record in latest}
    old = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], updated_before=before)
    )
    workspaces = {workspace_of(record.dagster_run) for record in old} - {None}
    for name in workspaces:  # whose latest may be older than those of others
        of_its = dg.RunsFilter(job_name=job, tags={PARTITION: str(name)})
        latest = instance.get_run_records(of_its, limit=LATEST_OF_WORKSPACE)
        kept |= {record.dagster_run.run_id for record in latest}
    spent = [record for record in old if record.dagster_run.run_id not in kept]
    for record in spent:
        _forget(instance, record)
    return len(spent)


def _forget(instance: dg.DagsterInstance, record: dg.RunRecord) -> None:
    """Forget a run with all that it left."""
    run_id = record.dagster_run.run_id
    instance.delete_run(run_id)
    _forget_checks(instance, run_id)
    for left in _files_of(instance, run_id):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _forget_checks(instance: dg.DagsterInstance, run_id: str) -> None:
    """Forget the results of a deleted run's checks, which Dagster keeps in a table of their own."""
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            results = AssetCheckExecutionsTable
            connection.execute(results.delete().where(results.c.run_id == run_id))


def forget_events_without_run(
    instance: dg.DagsterInstance, before: datetime, any_before: datetime
) -> None:
    """Forget what was reported without a run before an instant: materializations and checks.

    Results of checks go when they are from before `any_before`, whatever run they are of: earlier
    versions left those of forgotten runs.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    events, results = SqlEventLogStorageTable, AssetCheckExecutionsTable
    old = events.delete().where(events.c.run_id == _NO_RUN, events.c.timestamp < _naive(before))
    reported = results.c.evaluation_event_timestamp
    with storage.run_connection(_NO_RUN) as connection:
        connection.execute(old)
    with storage.index_connection() as connection:
        connection.execute(old)
        connection.execute(
            results.delete().where(results.c.run_id == _NO_RUN, reported < _naive(before))
        )
        connection.execute(results.delete().where(reported < _naive(any_before)))


def make_room(instance: dg.DagsterInstance, events: Iterable[object]) -> None:
    """Forget what was reported before of the checks that a tick is about to report without a run.

    Of a check with partitions Dagster keeps one result without a run for each: a second would
    violate a constraint of its table, and the tick would fail.
    """
    storage = instance.event_log_storage
    evaluations = [one for one in events if isinstance(one, dg.AssetCheckEvaluation)]
    if not evaluations or not isinstance(storage, SqlEventLogStorage):
        return
    results = AssetCheckExecutionsTable
    with storage.index_connection() as connection:
        for one in evaluations:
            connection.execute(
                results.delete().where(
                    results.c.run_id == _NO_RUN,
                    results.c.asset_key == one.asset_key.to_string(),
                    results.c.check_name == one.check_name,
                    results.c.partition == one.partition,
                )
            )


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _files_of(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """What a local instance leaves of a deleted run: an empty file of events, and its output."""
    if instance.is_ephemeral:
        return
    root = Path(instance.root_directory)
    shard = root / "history" / "runs" / f"{run_id}.db"
    yield from (Path(f"{shard}{part}") for part in ("", "-journal", "-shm", "-wal"))
    yield root / "storage" / run_id


@dg.op(out=dg.Out(dg.Nothing))
def forget_old_runs(context: dg.OpExecutionContext) -> None:
    """Forget what is old enough now."""
    forgotten = tidy(context.instance, datetime.now(UTC))
    context.log.info("runs forgotten: %s", forgotten)
    context.add_output_metadata({"runs_forgotten": forgotten})


_ABOUT = (
    f"forgets runs that ended {KEEP.days} days ago; successful ones after {KEEP_SUCCESSFUL.days} "
    f"days, those of webhooks, models and this job after six hours, but never the latest "
    f"{LATEST_KEPT} of a job."
)


@dg.job(name=_OURS, description=f"Of Dagster's own records, {_ABOUT}")
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
