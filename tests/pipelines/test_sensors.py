"""New webhook files set off a run: one at a time, and again where one failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines import sensors
from pipelines.jobs import webhooks


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
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
    monkeypatch.setattr(time, "time", lambda: now + 700)
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
