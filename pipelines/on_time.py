"""Reports which workspaces are late, table by table, when that changes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.freshness import Pace
from assets.on_time import as_evaluation, graded, last_of
from pipelines import ticks
from pipelines.retention import make_room

_SECONDS = 300
#: A result is reported again after so long: those without a run are forgotten after two days.
_AGAIN = 6 * 3_600.0


def late_workspaces(
    workspaces: Sequence[str], tables: Mapping[dg.AssetKey, Pace]
) -> dg.SensorDefinition:
    """Return the sensor that looks when each table of each workspace was brought up to date.

    Its cursor has for each workspace since when it is known, and the grade of each table that was
    reported last.
    """

    @dg.sensor(
        name="late_workspaces",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Names the workspaces whose tables are not brought up to date in time, and "
        "reports the check is_on_time of each by workspace when its result changes. On.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, known = time.time(), json.loads(context.cursor or "{}")
        cursor = {name: known.get(name) or {"since": now, "grades": {}} for name in workspaces}
        reasons: dict[str, str] = {}
        events: list[dg.AssetCheckEvaluation] = []
        for name, state in cursor.items():
            late = _of(context.instance, name, state, tables, now, events)
            if late:
                more = f" and {len(late) - 1} more" if len(late) > 1 else ""
                reasons[name] = f"late: {late[0]}{more}"
        make_room(context.instance, events)
        return dg.SensorResult(
            asset_events=events,
            cursor=json.dumps(cursor),
            skip_reason=ticks.sentence(reasons) if reasons else "all are on time",
        )

    return look


def _of(
    instance: dg.DagsterInstance,
    name: str,
    state: dict[str, Any],
    tables: Mapping[dg.AssetKey, Pace],
    now: float,
    events: list[dg.AssetCheckEvaluation],
) -> list[str]:
    """Return a sentence for each late table of a workspace; add an event where that changed."""
    late = []
    for key, pace in tables.items():
        table = key.to_user_string()
        grade = graded(pace, last_of(instance, key, name), state["since"], now)
        passed, severity, why = grade
        shown = "on time" if passed else f"late, {severity.value}"
        before, until = state["grades"].get(table, (None, 0.0))
        if before != shown or now >= until:
            state["grades"][table] = shown, now + _AGAIN
            events.append(as_evaluation(key, name, grade))
        if not passed:
            late.append(f"{table} ({why})")
    return late
