"""Looks for the service while an outage lasts, so that its runs need not fail one after the other.

The run that met the outage has failed: that is the alert. The schedules skip their ticks from then
on (`pipelines.schedules`), and this sensor looks whether a run could read again: soon at first,
then after longer and longer waits. When one could, it requests the run that goes on.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import dagster as dg

from assets import outages
from assets.outages import Standing
from hatif.errors import SettingsError
from pipelines import jobs
from sync.obstacles import first_obstacle
from warehouse.settings.environment import Settings

#: Seconds between two looks: half of how long the outage lasts, but not fewer nor more than these.
_SOONEST, _LATEST = 60, 3_600
#: Tag of the run that goes on after an outage: since when nothing was read.
AFTER = "hatif/after_outage_since"


@dg.sensor(
    job_name=jobs.hot_sync.name,
    minimum_interval_seconds=_SOONEST,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="While the service, the credentials or the home cannot be used: looks whether they "
    "can again, at first every minute, at last every hour, and requests a run when they can. On.",
)
def service_outage(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a sync when an outage is over."""
    outage = outages.standing(context.instance)
    if outage is None:
        return dg.SkipReason("no outage")
    now = time.time()
    if now < (due := _next_look(context.cursor, outage)):
        return dg.SkipReason(f"outage {outage}; next look at {_minute(due)} UTC")
    try:
        obstacle = first_obstacle(Settings.load())
    except SettingsError as error:
        obstacle = error
    if obstacle is None:
        context.log.info("the outage %s is over", outage)
        context.update_cursor(_cursor(outage, now + _LATEST))  # if that run meets it again
        return dg.RunRequest(tags={AFTER: outage.since.isoformat()})
    due = now + min(max((now - outage.since.timestamp()) / 2, _SOONEST), _LATEST)
    context.update_cursor(_cursor(outage, due))
    return dg.SkipReason(f"outage {outage}; next look at {_minute(due)} UTC: {obstacle}")


def _cursor(outage: Standing, due: float) -> str:
    next_look = datetime.fromtimestamp(due, UTC).isoformat(timespec="seconds")
    return json.dumps({"since": outage.since.isoformat(), "next_look": next_look})


def _next_look(cursor: str | None, outage: Standing) -> float:
    """Return when to look, in seconds of the wall clock; at once in an outage just met."""
    known = json.loads(cursor) if cursor else {}
    is_known = known.get("since") == outage.since.isoformat()
    return datetime.fromisoformat(known["next_look"]).timestamp() if is_known else 0.0


def _minute(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M}"
