"""What sets jobs off besides the clock: new webhook files, and syncs that have ended."""

import hashlib

import dagster as dg

from hatif.errors import HatifError
from hatif.settings import Settings
from hatif.webhooks.places import place_of
from pipelines import jobs

_SECONDS = 15


@dg.sensor(
    job_name=jobs.webhooks.name,
    minimum_interval_seconds=_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks every 15 seconds whether a webhook file is new or has changed. On.",
)
def webhook_files(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run when the files are not those of the last look."""
    try:
        place = place_of(Settings.load().webhook_location)
        digest = hashlib.sha256()
        count = 0
        for found in place.files():
            count += 1
            digest.update(f"{found.path}|{found.size}|{found.changed}\n".encode())
    except HatifError as error:
        return dg.SkipReason(str(error))
    seen = digest.hexdigest()
    if not count:
        return dg.SkipReason("no webhook files")
    if context.cursor == seen:
        return dg.SkipReason(f"{count} files, none new")
    context.update_cursor(seen)
    return dg.RunRequest(run_key=seen)


def _after(status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=f"models_after_{status.value.lower()}",
        monitored_jobs=jobs.SYNCS,
        request_job=jobs.models,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Computes what hangs on a sync when one has ended: even one that failed has "
        "stored what it could read. On.",
    )
    def after(_: dg.RunStatusSensorContext) -> dg.RunRequest:
        return dg.RunRequest()

    return after


SENSORS = [webhook_files, _after(dg.DagsterRunStatus.SUCCESS), _after(dg.DagsterRunStatus.FAILURE)]
