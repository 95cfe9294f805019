"""Whether each workspace's tables are brought up to date in time: a check with partitions.

Dagster's freshness policies look at an asset, and with partitions the newest of any workspace would
count. So with several workspaces their place is taken by a check of one table a step, since a step
brings all of its tables up to date; `pipelines/on_time.py` reports when its result changes.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from assets.freshness import Pace

NAME = "is_on_time"


def watched(assets: Iterable[dg.AssetsDefinition]) -> dict[dg.AssetKey, Pace]:
    """Return a table of each step that has a pace, with that."""
    paces = {pace.name.lower(): pace for pace in Pace}
    found = {}
    for step in assets:
        spec = min(step.specs, key=lambda one: (one.key.path[0] != "raw", one.key.path))
        if spec.tags["pace"] in paces:
            found[spec.key] = paces[spec.tags["pace"]]
    return found


def on_time_check(key: dg.AssetKey, pace: Pace) -> dg.AssetChecksDefinition:
    """Return the check of one table."""

    @dg.multi_asset_check(
        name=f"{'__'.join(key.path)}_{NAME}",
        specs=[
            dg.AssetCheckSpec(
                NAME,
                asset=key,
                description=f"It was brought up to date in time: {pace.description}. So were the "
                "other tables of its step.",
            )
        ],
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterable[dg.AssetCheckResult]:
        workspace = context.op_execution_context.partition_key
        last = last_of(context.instance, key, workspace)
        passed, severity, why = graded(pace, last, None, time.time())
        yield dg.AssetCheckResult(passed=passed, severity=severity, description=why)

    return check


def last_of(instance: dg.DagsterInstance, key: dg.AssetKey, workspace: str) -> float | None:
    """Return when a workspace's table was last brought up to date, None where it never was."""
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[workspace]), limit=1
    )
    return found.records[0].timestamp if found.records else None


def graded(
    pace: Pace, last: float | None, known_since: float | None, now: float
) -> tuple[bool, dg.AssetCheckSeverity, str | None]:
    """Return whether a table is on time, how bad it is where not, and a sentence on that.

    Args:
        pace: that is promised.
        last: when it was brought up to date, in seconds of the wall clock.
        known_since: since when the workspace is known: one that is new has time. None: for long.
        now: the instant.
    """
    since = last if last is not None else known_since
    late = float("inf") if since is None else now - since
    if late <= pace.warn_after.total_seconds():
        return True, dg.AssetCheckSeverity.WARN, None
    is_bad = late > pace.fail_after.total_seconds()
    severity = dg.AssetCheckSeverity.ERROR if is_bad else dg.AssetCheckSeverity.WARN
    when = (
        "not known" if last is None else f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M} UTC"
    )
    return False, severity, f"last brought up to date: {when}; {pace.description}"


def as_evaluation(
    key: dg.AssetKey, workspace: str, grade: tuple[bool, dg.AssetCheckSeverity, str | None]
) -> dg.AssetCheckEvaluation:
    """Return a grade as an event without a run."""
    passed, severity, why = grade
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=NAME,
        passed=passed,
        severity=severity,
        description=why,
        metadata={},
        partition=workspace,
    )


def check_keys(assets: Mapping[dg.AssetKey, Pace]) -> list[dg.AssetCheckKey]:
    """Return the keys of these checks; no job makes them, the sensor reports their results."""
    return [dg.AssetCheckKey(key, NAME) for key in assets]
