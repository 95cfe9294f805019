"""Webhook files of several workspaces: processes where files are new, a few at once, then runs."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from assets.workspaces import PARTITION, TAG
from hatif.webhooks.routing import PATH_HEADER
from pipelines import live_pool, sensors_of_several
from pipelines.live_pool import LivePool
from pipelines.live_process import Heard
from pipelines.sensors_of_several import webhook_files_of
from sync.live import Report
from tests.pipelines.several.conftest import NAMES


class _Process:
    """Stands for the process of a workspace."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_running = True
        self.reports: list[Report] = []

    def tend(self) -> Heard:
        heard, self.reports = Heard(self.is_running, self.reports), []
        return heard

    def release(self) -> None:
        self.is_running = False


@pytest.fixture
def pool() -> tuple[LivePool, dict[str, _Process]]:
    """A pool with one place, and the processes that it started."""
    started: dict[str, _Process] = {}

    def start(name: str) -> Any:
        started[name] = _Process(name)
        return started[name]

    return LivePool(1, start), started


def _drop(data: Path, workspace: str, name: str) -> None:
    folder = data / workspace / "webhooks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("{}\n")


def test_a_process_is_started_where_files_are_new_and_a_run_where_there_is_no_place(
    instance: dg.DagsterInstance,
    data: Path,
    pool: tuple[LivePool, dict[str, _Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live, started = pool
    sensor = webhook_files_of(NAMES, live)
    clock = [1_000.0]
    # Of these modules alone: servers that run in threads of this process go by the real one.
    for module in (live_pool, sensors_of_several):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("pipelines.sensors_of_several.SideBySide.call", _at_once)

    def look(cursor: str | None) -> Any:
        clock[0] += 12
        return sensor(dg.build_sensor_context(instance, cursor=cursor))

    found = look(None)
    assert (started, found.run_requests) == ({}, [])
    _drop(data, "riyadh", "1.ndjson")
    found = look(found.cursor)
    assert (set(started), found.run_requests) == ({"riyadh"}, [])
    started["riyadh"].reports = [Report(passes=1, deliveries=2, rows={"core.messages": 7})]
    _drop(data, "jeddah", "1.ndjson")
    found = look(found.cursor)
    assert [(one.partition_key, one.tags[TAG]) for one in found.run_requests] == [
        ("jeddah", "jeddah")
    ]
    (made,) = found.asset_events
    assert (made.partition, made.metadata["dagster/row_count"].value) == ("riyadh", 7)

    success = dg.DagsterRunStatus.SUCCESS
    done = dg.DagsterRun(job_name="webhooks", status=success, tags={PARTITION: "jeddah"})
    instance.add_run(done)
    for _ in range(30):  # nothing comes: it is ended, and not started again for what it has seen
        found = look(found.cursor)
        assert found.run_requests == []
    assert not started["riyadh"].is_running
    assert set(json.loads(found.cursor)) == {"riyadh", "jeddah"}
    _drop(data, "jeddah", "2.ndjson")
    found = look(found.cursor)
    assert set(started) == {"riyadh", "jeddah"}
    _drop(data, "riyadh", "2.ndjson")
    found = look(found.cursor)
    assert [one.partition_key for one in found.run_requests] == ["riyadh"]
    assert "mistaken.timezone" not in str(found.cursor)


def _at_once(self: Any, names: Any, function: Any) -> Any:
    from pipelines.side_by_side import Answer

    return {name: Answer(function(name)) for name in names}


def test_a_process_of_a_workspace_that_is_gone_is_ended(
    pool: tuple[LivePool, dict[str, _Process]],
) -> None:
    live, started = pool
    assert live.tend("riyadh") is not None
    assert live.tend("jeddah") is None
    live.keep_only({"jeddah"})
    assert not started["riyadh"].is_running
    assert live.tend("jeddah") is not None
    assert live_pool.PLACES > 1


def test_webhooks_that_waited_for_their_workspace_are_given_to_it(
    instance: dg.DagsterInstance, data: Path, pool: tuple[LivePool, dict[str, _Process]]
) -> None:
    waiting = data / "_unassigned"
    waiting.mkdir()
    unit: dict[str, Any] = {
        "received_at": "2026-11-01T10:00:00Z",
        "body": json.dumps({"callId": "1"}),
    }
    unit["headers"] = {PATH_HEADER: "riyadh"}
    (waiting / "1.ndjson").write_text(f"{json.dumps(unit)}\n")
    sensor: Any = webhook_files_of(NAMES, pool[0])
    sensor(dg.build_sensor_context(instance))
    for thread in threading.enumerate():
        if thread.name.startswith("look at _unassigned"):
            thread.join()
    assert not list(waiting.glob("*.ndjson"))
    assert len(list((data / "riyadh" / "webhooks").glob("*.ndjson"))) == 1
