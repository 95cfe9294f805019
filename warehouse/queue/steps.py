"""Steps: the ages at which an event that can still change is looked at again, once each."""

from __future__ import annotations

from datetime import timedelta

from warehouse.lake.sql import seconds
from warehouse.models.model import Model

#: After how long an event that can still change is looked at again.
STEPS = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 360, 1440, 4320))
#: What is later than the service's time by more than this was dated ahead.
AHEAD = timedelta(hours=1)
#: An event dated ahead by less than this is looked at when its time has come.
_FORESEEN = timedelta(days=31)


def steps_of(lists: str, model: Model, unsettled: timedelta, within: str = "true") -> str:
    """Return SQL for the steps to come of the unsettled events in some lists.

    An event dated ahead (scheduled, or by mistake) ages from its insertion, the instant inside its
    id; so no step falls on a day that cannot be shown, and none is put off to that day.

    Args:
        lists: SQL, with columns parent_id and began_at: when each was read.
        model: of the lists' records.
        unsettled: how long an event that can still change is looked at again.
        within: a condition that holds for the records of these lists, by which files are passed
            over.

    Returns:
        Columns parent_id, the record's key, step.
    """
    is_settled, time = model.settles or ("true", "NULL")
    steps = ", ".join(f"since + {seconds(step)}" for step in steps_within(unsettled))
    return f"""
        SELECT parent_id, {model.replace}, step FROM (
            SELECT parent_id, {model.replace}, began_at, unnest([{steps},
                CASE WHEN planned < began_at + {seconds(_FORESEEN)} THEN planned END]) AS step
            FROM (
                SELECT a.parent_id, t.{model.replace}, a.began_at,
                    CASE WHEN {time} > a.began_at + {seconds(AHEAD)} THEN {time} END AS planned,
                    CASE WHEN {time} > a.began_at + {seconds(AHEAD)}
                        THEN id_instant(t.{model.replace}) ELSE {time} END AS since
                FROM {model.table} t JOIN {lists} a ON a.parent_id = t.{model.parent}
                WHERE {within} AND NOT {is_settled} AND deleted_at IS NULL
                    AND {time} > (SELECT min(began_at) FROM {lists}) - {seconds(unsettled)}
            )
        ) WHERE step > began_at
    """


def steps_within(unsettled: timedelta) -> list[timedelta]:
    """Return the ages at which an event that can still change is looked at, the last at the end."""
    return [*(step for step in STEPS if step < unsettled), unsettled]
