"""Hands runs to Celery's workers, and finds those whose worker is gone.

`CeleryRunLauncher` of dagster-celery trusts the state that a worker leaves behind: a run whose
worker was killed, or its machine cut off, stays "started" for ever. Nor does Celery hand it out
again in time: brokers of Redis' kind do so after hours, and Dagster ignores the second delivery of
a run that has begun. So here the workers themselves are asked which tasks they execute. Dagster's
monitoring fails a run that none of them has, and launches it again as one of its run retries.
"""

from __future__ import annotations

import time
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

#: How long workers have to answer, and how long their answers count, in seconds.
_PATIENCE, _FRESH = 5.0, 3.0
#: A run is lost when so many rounds of answers in turn do not name it; one can be late.
_ROUNDS = 3


class CeleryLauncher(CeleryRunLauncher):
    """Launches runs as tasks of Celery; the broker is that of ``CELERY_BROKER_URL``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tasks: set[str] = set()
        self._asked = 0.0
        self._round = 0
        #: The rounds that did not name a run, by its id: the first of those in turn.
        self._missing: dict[str, int] = {}

    @property
    def supports_resume_run(self) -> bool:
        """No: the steps of a run share one session, so a run is begun anew."""
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether a worker executes the run."""
        self._ask()
        if run.tags.get(DAGSTER_CELERY_TASK_ID_TAG) in self._tasks:
            self._missing.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        first = self._missing.setdefault(run.run_id, self._round)
        if self._round - first + 1 < _ROUNDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._missing[run.run_id]
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "the Celery worker that executed this run is gone"
        )

    def _ask(self) -> None:
        """Ask all workers which tasks they execute, unless that was just done."""
        if time.monotonic() - self._asked < _FRESH:
            return
        answers = self.celery.control.inspect(timeout=_PATIENCE).active() or {}
        self._tasks = {task["id"] for tasks in answers.values() for task in tasks}
        self._asked = time.monotonic()
        self._round += 1

    def terminate(self, run_id: str) -> bool:
        """Cancel a run; its worker stores what it has received, as at Ctrl-C."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if task := run.tags.get(DAGSTER_CELERY_TASK_ID_TAG):
            self.celery.control.revoke(task, terminate=True)
        return True

    def get_run_worker_debug_info(
        self,
        run: dg.DagsterRun,
        include_container_logs: bool | None = True,  # noqa: ARG002 - Dagster passes it by name
    ) -> str:
        """Return what to look for in the logs of workers."""
        return f"Celery's task {run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)}"
