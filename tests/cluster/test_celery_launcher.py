"""When a run counts as lost: what Celery's workers answer, without any of them."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from kombu.exceptions import OperationalError

from pipelines import celery_launcher
from pipelines.celery_launcher import CeleryLauncher

_RUN = dg.DagsterRun("hot_sync", tags={"dagster-celery/task_id": "t1"})


class _Workers:
    """Answers as workers do: the ids of tasks by worker, or an error, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def __call__(self, **_: float) -> _Workers:
        return self

    def active(self) -> dict[str, list[dict[str, str]]] | None:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer and {name: [{"id": task} for task in ids] for name, ids in answer.items()}


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> CeleryLauncher:
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.setattr(celery_launcher, "_FRESH", 0.0)
    return CeleryLauncher(default_queue="dagster")


def _looks(launcher: CeleryLauncher, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[str]:
    monkeypatch.setattr(launcher.celery.control, "inspect", _Workers(*answers))
    return [launcher.check_run_worker_health(_RUN).status.value for _ in answers]


def test_a_run_that_a_worker_names_is_running(launcher, monkeypatch):
    found = _looks(launcher, monkeypatch, {"one": [], "two": ["t0", "t1"]})
    assert found == [WorkerStatus.RUNNING.value]


@pytest.mark.parametrize("answer", [None, {}, {"one": []}, {"one": ["t0"]}])
def test_one_that_none_names_three_times_in_turn_is_lost(launcher, monkeypatch, answer):
    assert _looks(launcher, monkeypatch, *[answer] * 3) == ["RUNNING", "RUNNING", "FAILED"]


def test_a_late_answer_counts(launcher, monkeypatch):
    named, silent = {"one": ["t1"]}, {}
    found = _looks(launcher, monkeypatch, silent, silent, named, silent, silent, silent)
    assert found == ["RUNNING"] * 5 + ["FAILED"]


def test_a_broker_that_cannot_be_reached_loses_no_run(launcher, monkeypatch):
    error = OperationalError("refused")
    for _ in range(3):
        with pytest.raises(OperationalError):
            _looks(launcher, monkeypatch, error)
    assert _looks(launcher, monkeypatch, {"one": ["t1"]}) == ["RUNNING"]


def test_a_run_without_a_task_is_lost_too(launcher, monkeypatch):
    monkeypatch.setattr(launcher.celery.control, "inspect", _Workers(*[{"one": ["t1"]}] * 3))
    run = dg.DagsterRun("hot_sync")
    found = [launcher.check_run_worker_health(run).status.value for _ in range(3)]
    assert found == ["RUNNING", "RUNNING", "FAILED"]
