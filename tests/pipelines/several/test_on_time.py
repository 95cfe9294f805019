"""Which workspaces are late is named, and the last runs of each are remembered."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.workspaces import PARTITION
from pipelines.retention import LATEST_OF_WORKSPACE, forget_successful_runs

_KEY = dg.AssetKey(["raw", "conversations"])


def _look(
    of_several: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None
) -> dg.SensorResult:
    found: Any = of_several.resolve_sensor_def("late_workspaces")
    result = found(dg.build_sensor_context(instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    for event in result.asset_events:
        if event.asset_key == _KEY:  # as the daemon does with all of them
            instance.report_runless_asset_event(event)
    return result


def _made(instance: dg.DagsterInstance, workspace: str) -> None:
    """Report every table of a workspace as brought up to date now."""
    instance.report_runless_asset_event(dg.AssetMaterialization(_KEY, partition=workspace))


def _results(found: dg.SensorResult) -> dict[str | None, bool]:
    return {one.partition: one.passed for one in found.asset_events if one.asset_key == _KEY}


def test_a_late_workspace_is_named_and_another_that_is_on_time_does_not_hide_it(
    of_several: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made(instance, "riyadh")
    _made(instance, "jeddah")
    first = _look(of_several, instance, None)
    assert _results(first) == {"riyadh": True, "jeddah": True, "mistaken": True}  # it is new
    assert _look(of_several, instance, first.cursor).asset_events == []

    _made(instance, "jeddah")
    now = time.time()
    known = json.loads(str(first.cursor))
    with monkeypatch.context() as later:
        later.setattr("pipelines.on_time.time.time", lambda: now + 3 * 3_600)
        later.setattr(
            "pipelines.on_time.last_of",
            lambda *of: {"riyadh": now, "jeddah": now + 3 * 3_600}.get(of[-1]),
        )
        found = _look(of_several, instance, json.dumps(known))
    assert _results(found) == {"riyadh": False, "mistaken": False}
    reason = str(found.skip_reason)
    assert "riyadh: late: " in reason
    assert "jeddah" not in reason
    (late,) = [
        one for one in found.asset_events if (one.asset_key, one.partition) == (_KEY, "riyadh")
    ]
    assert (late.check_name, late.severity) == ("is_on_time", dg.AssetCheckSeverity.WARN)
    assert "every 15 minutes; late after 2 hours" in str(late.description)

    kept = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(_KEY, "is_on_time"), limit=9
    )
    assert {one.partition: one.status.value for one in kept} == {
        "riyadh": "FAILED",
        "jeddah": "SUCCEEDED",
        "mistaken": "FAILED",
    }

    found = _look(of_several, instance, found.cursor)
    assert _results(found) == {"riyadh": True, "mistaken": True}


def test_no_freshness_policy_speaks_for_all_workspaces_at_once(of_several: dg.Definitions) -> None:
    assert {spec.freshness_policy for spec in of_several.resolve_all_asset_specs()} == {None}


def test_of_each_workspace_the_latest_runs_are_remembered(instance: dg.DagsterInstance) -> None:
    def add(workspace: str) -> str:
        success = dg.DagsterRunStatus.SUCCESS
        run = dg.DagsterRun(job_name="models", status=success, tags={PARTITION: workspace})
        instance.add_run(run)
        return run.run_id

    quiet = [add("quiet") for _ in range(LATEST_OF_WORKSPACE + 1)]
    for _ in range(50):
        add("busy")
    forgotten = forget_successful_runs(instance, "models", datetime.now(UTC) + timedelta(minutes=1))
    assert forgotten == 1
    left = {run.run_id for run in instance.get_runs()}
    assert set(quiet) - left == {quiet[0]}
