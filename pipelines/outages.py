"""Looks for the service while an outage lasts, so that its runs need not fail one after the other.

The run that met the outage has failed: that is the alert. The schedules skip their ticks from then
on (`pipelines.schedules`), and this sensor looks whether a run could read again: soon at first,
then after longer and longer waits. When one could, it requests the run that goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from assets import outages
from assets.outages import Standing
from hatif.errors import HatifError, SettingsError
from pipelines import jobs, ticks
from pipelines.side_by_side import SideBySide
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
        return dg.SkipReason(_waits(outage, due))
    try:
        obstacle = first_obstacle(Settings.load())
    except SettingsError as error:
        obstacle = error
    if obstacle is None:
        context.log.info("the outage %s is over", outage)
        context.update_cursor(_cursor(outage, now + _LATEST))  # if that run meets it again
        return dg.RunRequest(tags={AFTER: outage.since.isoformat()})
    due = _later(outage, now)
    context.update_cursor(_cursor(outage, due))
    return dg.SkipReason(_waits(outage, due, obstacle))


def service_outage_of(workspaces: Sequence[str]) -> dg.SensorDefinition:
    """Return the same sensor for several workspaces: it looks for the service of each by itself."""
    looks = SideBySide[HatifError | None]()

    @dg.sensor(
        name=service_outage.name,
        job_name=jobs.hot_sync.name,
        minimum_interval_seconds=_SOONEST,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=service_outage.description,
    )
    def look(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        """Request a sync for each workspace whose outage is over."""
        try:
            settings, reasons = ticks.settings_of(workspaces)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        now = time.time()
        standing = {
            name: outage
            for name in settings
            if (outage := outages.standing(context.instance, name)) is not None
        }
        known = json.loads(context.cursor or "{}")
        cursor = {name: known.get(name) for name in standing}
        due = [name for name in standing if now >= _next_look(cursor[name], standing[name])]
        answers = looks.call(due, lambda name: first_obstacle(settings[name]))
        errors = ticks.errors_of(answers, context.log)
        requests = []
        for name in due:
            obstacle = errors.get(name) or answers[name].value
            over = obstacle is None
            # If the run that goes on meets it again, the next look is an hour later.
            next_look = now + _LATEST if over else _later(standing[name], now)
            cursor[name] = _cursor(standing[name], next_look)
            if over:
                after = {AFTER: standing[name].since.isoformat()}
                requests.append(ticks.request(name, None, **after))
            else:
                reasons[name] = _waits(standing[name], next_look, obstacle)
        for name in standing.keys() - set(due):
            reasons[name] = _waits(standing[name], _next_look(cursor[name], standing[name]))
        context.update_cursor(json.dumps(cursor))
        return ticks.result(context.log, requests, reasons or {"all": "no outage"})

    return look


def _waits(outage: Standing, due: float, obstacle: object = None) -> str:
    found = f": {obstacle}" if obstacle else ""
    return f"outage {outage}; next look at {_minute(due)} UTC{found}"


def _later(outage: Standing, now: float) -> float:
    """Return when to look again, in seconds of the wall clock."""
    return now + min(max((now - outage.since.timestamp()) / 2, _SOONEST), _LATEST)


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
