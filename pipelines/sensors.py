"""What sets jobs off besides the clock: webhook files; syncs that have ended; ends of outages."""

import hashlib
import time

import dagster as dg

from hatif.errors import HatifError
from hatif.webhooks.sources import Place, place_of
from pipelines import after_sync, jobs, live_process
from pipelines.outages import service_outage
from warehouse.settings.environment import Settings

#: Dagster looks at its sensors no more often.
WEBHOOK_SECONDS = 5
_HOUR_NS = 3_600 * 10**9
#: How long the files of a run that failed or was cancelled wait, if no other file comes.
_AGAIN_SECONDS = 600


@dg.sensor(
    job_name=jobs.webhooks.name,
    minimum_interval_seconds=WEBHOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Keeps a process going that works webhook files off within seconds (`hatif live`), "
    "and shows what it did: materializations and checks without a run. Requests a run for a large "
    "backlog, after a failure, and where that process cannot be: never do two wait. On.",
)
def webhook_files(
    context: dg.SensorEvaluationContext,
) -> dg.RunRequest | dg.SkipReason | dg.SensorResult:
    """See that files are worked off; request a run where one is needed."""
    records = context.instance.get_run_records(
        dg.RunsFilter(job_name=jobs.webhooks.name), limit=1, order_by="id"
    )
    record = records[0] if records else None
    try:
        place = place_of(Settings.load().webhook_location)
        if next(place.files(), None) is None:
            return dg.SkipReason("no webhook files")
        heard = live_process.LIVE.tend()
        if heard.works:
            return live_process.TELLER.result(heard, record)
        if record is not None and not record.dagster_run.is_finished:
            return dg.SkipReason("a run is under way; what is new waits for it")
        return _without_process(context, place, record)
    except (HatifError, OSError) as error:
        return dg.SkipReason(str(error))


def _without_process(
    context: dg.SensorEvaluationContext, place: Place, record: dg.RunRecord | None
) -> dg.RunRequest | dg.SkipReason:
    """Request a run when files differ from those of the last look, or their run did not succeed."""
    count, seen = look(place)
    if context.cursor != seen:
        context.update_cursor(seen)
        return dg.RunRequest(run_key=seen)
    if record is None or not failed_a_while_ago(record):
        return dg.SkipReason(f"{count} files, none new")
    return dg.RunRequest(run_key=f"{seen} after {record.dagster_run.run_id}")


def look(place: Place) -> tuple[int, str]:
    """Return how many webhook files there are, and a digest that differs when one has changed.

    A file that ends too early is read again when it has rested for an hour: while there are young
    files, the digest differs every hour.
    """
    digest = hashlib.sha256()
    count, now, is_any_young = 0, time.time_ns(), False
    for found in place.files():
        count += 1
        digest.update(f"{found.path}|{found.size}|{found.changed}\n".encode())
        is_any_young = is_any_young or not found.is_at_rest(now - _HOUR_NS)
    if is_any_young:
        digest.update(f"{now // _HOUR_NS}".encode())
    return count, digest.hexdigest()


def failed_a_while_ago(record: dg.RunRecord) -> bool:
    """Whether a run ended without reading all its files, longer ago than they have to wait."""
    ended_early = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
    seconds = time.time() - (record.end_time or 0)
    return record.dagster_run.status in ended_early and seconds > _AGAIN_SECONDS


SENSORS = [webhook_files, *after_sync.SENSORS, service_outage]
