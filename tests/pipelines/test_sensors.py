"""New webhook files are worked off by a process of their own; where that cannot be, by runs.

Of runs never do two wait, and one that failed is followed by another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines import live_process, sensors
from pipelines.jobs import webhooks
from pipelines.live_process import Heard, Teller
from sync.check import CheckResult
from sync.live import Report
from tests.clocks import set_clock


class _Process:
    """Stands for the process that works off files; without reports there is none."""

    def __init__(self) -> None:
        self.heard = Heard()

    def tend(self) -> Heard:
        return self.heard


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> _Process:
    found = _Process()
    monkeypatch.setattr(live_process, "LIVE", found)
    monkeypatch.setattr(live_process, "TELLER", Teller())
    return found


@pytest.fixture
def instance(
    tmp_path: Path, process: _Process, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("HATIF_HOME", str(tmp_path / "home"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _drop(home: Path, name: str) -> None:
    folder = home / "home" / "webhooks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("{}\n")


def _run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    run = dg.DagsterRun(job_name=webhooks.name, status=status)
    instance.add_run(run)
    return run.run_id


def _look(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[Any, str | None]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    return sensors.webhook_files(context), context.cursor


def test_a_new_file_sets_off_one_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert isinstance(_look(instance)[0], dg.SkipReason)
    _drop(tmp_path, "a.json")
    asked, cursor = _look(instance)
    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == cursor
    _run(instance, dg.DagsterRunStatus.SUCCESS)
    assert isinstance(_look(instance, cursor)[0], dg.SkipReason)


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ],
)
def test_while_a_run_waits_or_works_files_wait_too_and_are_not_forgotten(
    instance: dg.DagsterInstance, tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    _drop(tmp_path, "a.json")
    _, cursor = _look(instance)
    run_id = _run(instance, status)
    _drop(tmp_path, "b.json")

    skipped, kept = _look(instance, cursor)

    assert isinstance(skipped, dg.SkipReason)
    assert kept == cursor
    instance.delete_run(run_id)
    _run(instance, dg.DagsterRunStatus.SUCCESS)
    asked, moved = _look(instance, kept)
    assert isinstance(asked, dg.RunRequest)
    assert moved != cursor


@pytest.mark.parametrize("end", ["report_run_failed", "report_run_canceled"])
def test_files_of_a_run_that_did_not_succeed_are_read_by_another_after_a_while(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    _drop(tmp_path, "a.json")
    first, cursor = _look(instance)
    assert isinstance(first, dg.RunRequest)
    run_id = _run(instance, dg.DagsterRunStatus.STARTED)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    getattr(instance, end)(run)
    assert isinstance(_look(instance, cursor)[0], dg.SkipReason)

    now = time.time()
    set_clock(monkeypatch, sensors, time=lambda: now + 700)
    again, _ = _look(instance, cursor)

    assert isinstance(again, dg.RunRequest)
    assert again.run_key not in (None, first.run_key)


def test_a_folder_that_cannot_be_listed_skips_the_tick_with_its_reason(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(sensors, "place_of", fail)
    skipped, _ = _look(instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "Permission denied" in str(skipped.skip_message)


def _heard(process: _Process, *reports: Report) -> None:
    process.heard = Heard(works=True, reports=list(reports))


def test_while_the_process_works_off_files_no_run_is_requested(
    instance: dg.DagsterInstance, process: _Process, tmp_path: Path
) -> None:
    _drop(tmp_path, "a.json")
    _heard(process, Report(passes=1, deliveries=2, seconds=0.5), Report(passes=1, deliveries=1))
    result, _ = _look(instance)
    assert result.run_requests == []
    assert result.skip_reason.skip_message == "new deliveries: 3, passes: 2, 0.5 s"


def test_its_rows_and_checks_are_shown_and_not_again_while_they_say_the_same(
    instance: dg.DagsterInstance, process: _Process, tmp_path: Path
) -> None:
    _drop(tmp_path, "a.json")
    good = CheckResult("rows_are_unique", ("core", "messages"), None, {"duplicates": 0})
    bad = CheckResult("rows_are_unique", ("core", "messages"), "1 row twice", {"duplicates": 1})
    checked = Report(1, 2, rows={"core.messages": 7}, results=[good])
    _heard(process, checked)
    result, _ = _look(instance)
    made, checked_event = result.asset_events
    assert made.asset_key == dg.AssetKey(["core", "messages"])
    assert (made.metadata["dagster/row_count"].value, made.metadata["new_deliveries"].value) == (
        7,
        2,
    )
    assert (checked_event.check_name, checked_event.passed) == ("rows_are_unique", True)

    assert _look(instance)[0].asset_events == []
    _heard(process, Report(rows={"core.messages": 8}, results=[bad], broken=["it failed"]))
    result, _ = _look(instance)
    (checked_event,) = result.asset_events
    assert (checked_event.passed, checked_event.description) == (False, "1 row twice")


@pytest.mark.parametrize("report", [Report(broken=["marts: no"]), Report(backlog=9 << 20)])
def test_a_failure_and_a_large_backlog_are_given_to_one_run(
    instance: dg.DagsterInstance, process: _Process, tmp_path: Path, report: Report
) -> None:
    _drop(tmp_path, "a.json")
    _heard(process, report)
    result, _ = _look(instance)
    assert len(result.run_requests) == 1
    result, _ = _look(instance)
    assert result.run_requests == []
    assert result.skip_reason.skip_message in (
        "marts: no",
        "9 MiB of webhook files are left to a run",
    )


def test_what_the_sensor_reports_names_tables_and_checks_that_there_are() -> None:
    from pipelines.definitions import defs
    from sync import checks
    from warehouse.models.model import merged_models, models

    keys = defs.resolve_asset_graph()
    tables = [one.table for one in (*merged_models(), *models("marts")) if not one.is_view]
    assert {dg.AssetKey(table.split(".")) for table in tables} <= keys.get_all_asset_keys()
    made = [*checks.checks_of_webhooks(), *checks.checks_of_merged(), *checks.checks_of_marts()]
    wanted = {dg.AssetCheckKey(dg.AssetKey(one.table), one.name) for one in made}
    assert wanted <= set(keys.asset_check_keys)


def test_what_a_tick_reports_is_kept_by_dagster(
    instance: dg.DagsterInstance, process: _Process, tmp_path: Path
) -> None:
    _drop(tmp_path, "a.json")
    good = CheckResult("rows_are_unique", ("core", "messages"), None, {"duplicates": 0})
    _heard(process, Report(1, 2, rows={"core.messages": 7}, results=[good]))
    context = dg.build_sensor_context(instance=instance, definitions=_definitions())
    tick = sensors.webhook_files.evaluate_tick(context)
    for event in tick.asset_events:
        instance.report_runless_asset_event(event)
    made = instance.get_latest_materialization_event(dg.AssetKey(["core", "messages"]))
    assert made is not None
    assert made.asset_materialization is not None
    assert made.asset_materialization.metadata["dagster/row_count"].value == 7
    assert tick.skip_message == "new deliveries: 2, passes: 1, 0.0 s"


def _definitions() -> dg.Definitions:
    from pipelines.definitions import defs

    return defs
