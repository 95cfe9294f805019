"""What accumulates in Dagster under steady traffic is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pipelines import retention
from pipelines.retention import forget_frequent_runs


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

    assert forget_frequent_runs(instance, "webhooks", later) == 3
    assert forget_frequent_runs(instance, "webhooks", later) == 0

    assert {run.run_id for run in instance.get_runs()} == {failed, other, *runs[3:]}


def test_runs_that_are_young_are_kept(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LATEST_KEPT", 0)
    before = datetime.now(UTC) - timedelta(hours=6)
    _run(instance, "models")
    assert forget_frequent_runs(instance, "models", before) == 0
