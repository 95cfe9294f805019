"""Outages in Dagster: the run that ended in one is tagged, and stays the only one.

Whoever starts runs looks at the newest run that called the service: where it has the tags, the
next one is not begun before the service is found to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets.workspaces import PARTITION, workspace_of
from hatif.errors import HatifError

#: Tag of the jobs that call the service; its prefix keeps it out of the list of runs.
CALLS_SERVICE = {".dagster/calls": "service"}
_KIND, _SINCE = "hatif/outage", "hatif/outage_since"
#: A run that could not begin is not launched again by Dagster's daemon.
NO_NEW_RUN = {"dagster/max_retries": "0"}
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True, slots=True)
class Standing:
    """An outage that no run has ended yet.

    Attributes:
        since: when its first run began.
        kind: class of the error, see `hatif.errors`.
        run_id: the newest run that ended in it.
    """

    since: datetime
    kind: str
    run_id: str

    def __str__(self) -> str:
        return f"since {self.since:%Y-%m-%d %H:%M} UTC ({self.kind}, run {self.run_id[:8]})"


def standing(instance: dg.DagsterInstance, workspace: str | None = None) -> Standing | None:
    """Return the outage in which the newest run that called the service ended, if in one.

    Args:
        instance: that keeps the runs.
        workspace: of several, whose runs count; None where there is one.
    """
    tags = CALLS_SERVICE | ({PARTITION: workspace} if workspace else {})
    newest = instance.get_run_records(
        dg.RunsFilter(tags=tags, statuses=_ENDED), limit=1, order_by="update_timestamp"
    )
    run = newest[0].dagster_run if newest else None
    if run is None or _SINCE not in run.tags:
        return None
    return Standing(datetime.fromisoformat(run.tags[_SINCE]), run.tags[_KIND], run.run_id)


def tag(instance: dg.DagsterInstance, run: dg.DagsterRun, error: HatifError | None) -> None:
    """Tag a run that read nothing; only those of jobs that call the service are.

    Args:
        instance: that keeps the run.
        run: as it was begun.
        error: of the outage that it ended in; None where it ended before it called the service, for
            a reason of its own: then an outage that stands goes on standing.
    """
    if not CALLS_SERVICE.items() <= run.tags.items():
        return
    before = standing(instance, workspace_of(run))
    if error is None and before is None:
        return
    kind = type(error).__name__ if error else before.kind if before else ""
    since = before.since if before else datetime.now(UTC)
    tags = {_KIND: kind, _SINCE: since.isoformat(timespec="seconds")}
    instance.add_run_tags(run.run_id, tags)
