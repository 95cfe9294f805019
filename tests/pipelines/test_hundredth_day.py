"""What accumulates in Dagster under steady traffic is forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipelines import retention
from pipelines.retention import forget_successful_runs
from tests.pipelines.conftest import ROOT


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _run(instance: dg.DagsterInstance, job: str, *, fails: bool = False) -> str:
    @dg.op
    def one() -> None:
        if fails:
            raise ValueError

    made = dg.GraphDefinition(name=job, node_defs=[one]).to_job()
    return made.execute_in_process(instance=instance, raise_on_error=False).run_id


def test_successful_runs_of_a_busy_job_are_forgotten_but_the_latest_and_those_that_failed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LATEST_KEPT", 2)
    failed = _run(instance, "webhooks", fails=True)
    runs = [_run(instance, "webhooks") for _ in range(5)]
    other = _run(instance, "hot_sync")
    later = datetime.now(UTC) + timedelta(minutes=1)

    assert forget_successful_runs(instance, "webhooks", later) == 3
    assert forget_successful_runs(instance, "webhooks", later) == 0

    assert {run.run_id for run in instance.get_runs()} == {failed, other, *runs[3:]}


def test_runs_that_are_young_are_kept(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LATEST_KEPT", 0)
    before = datetime.now(UTC) - timedelta(hours=6)
    _run(instance, "models")
    assert forget_successful_runs(instance, "models", before) == 0


@dg.asset
def table() -> None:
    """What a run materializes."""


@dg.asset_check(asset=table)
def holds() -> dg.AssetCheckResult:
    """What a run checks."""
    return dg.AssetCheckResult(passed=True)


def _rows(root: Path) -> dict[str, int]:
    """Return the rows of every table of an instance's storage, and the number of its files."""
    found = {"files": sum(path.is_file() for path in root.rglob("*"))}
    for file in (*root.glob("history/*.db"), *root.glob("history/runs/index.db")):
        with closing(sqlite3.connect(file)) as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in tables:
                (found[name],) = db.execute(f"SELECT count(*) FROM {name}").fetchone()
    return found


def test_nothing_in_dagsters_storage_grows_with_the_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LATEST_KEPT", 2)
    ours = yaml.safe_load((ROOT / "pipelines" / "dagster.yaml").read_text(encoding="utf-8"))
    job = dg.define_asset_job("models", [table])
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=ours) as instance:
        defs = dg.Definitions([table], asset_checks=[holds], jobs=[job])
        models = defs.resolve_job_def("models")

        def hours(number: int) -> dict[str, int]:
            for _ in range(number):
                models.execute_in_process(instance=instance)
                instance.report_runless_asset_event(dg.AssetMaterialization("table"))
                instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(
                        asset_key=dg.AssetKey("table"), check_name="holds", passed=True
                    )
                )
            retention.tidy(instance, datetime.now(UTC) + timedelta(days=8))
            return _rows(tmp_path)

        first = hours(3)
        assert first["runs"] == first["asset_check_executions"] == 2
        assert hours(4) == first


def test_results_of_checks_that_forgotten_runs_left_go_in_the_end(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        result = dg.materialize([table, holds], instance=instance)
        instance.delete_run(result.run_id)
        assert _rows(tmp_path)["asset_check_executions"] == 1
        retention.tidy(instance, datetime.now(UTC) + timedelta(days=31))
        assert _rows(tmp_path)["asset_check_executions"] == 0
