"""What accumulates in Dagster under steady traffic is forgotten; an outage sets nothing off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pipelines import retention, sensors
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


def test_a_run_that_could_not_begin_brought_nothing_and_one_that_failed_later_may_have(
    instance: dg.DagsterInstance,
) -> None:
    @dg.resource
    def service(_: dg.InitResourceContext) -> None:
        raise ConnectionError

    @dg.op(required_resource_keys={"service"})
    def read() -> None:
        """Never begins."""

    @dg.job(resource_defs={"service": service})
    def sync() -> None:
        read()

    down = sync.execute_in_process(instance=instance, raise_on_error=False).run_id
    began = _run(instance, "sync", fails=True)

    assert not sensors._brought_anything(instance, down)
    assert sensors._brought_anything(instance, began)
