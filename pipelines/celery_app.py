"""Celery's application: what a worker runs where runs are spread over machines.

    celery --app pipelines.celery_app worker --concurrency 2 --hostname worker1@%h

A worker executes whole runs, which Dagster's daemon hands out (`pipelines.celery_launcher`). The
broker is that of ``CELERY_BROKER_URL``, which Celery reads by itself: no file holds its password.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any

from dagster import DagsterInstance
from dagster._cli.api import _execute_run_command_body as execute_run
from dagster._grpc.types import ExecuteRunArgs
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.make_app import make_app
from dagster_shared.serdes.serdes import unpack_value
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool

# Loaded before processes are forked for runs, each of which would take seconds for it. Definitions
# are not: a new workspace shall be known to the next run.
from pipelines import jobs as _jobs  # noqa: F401

#: Tag of a run: the worker that executes it.
WORKER = "hatif/worker"
#: Longer than any run, in seconds. A broker of Redis' kind hands a task out again after that time,
#: finished or not. That a worker died is found by the launcher, not by this.
_LONGEST = 7 * 86_400

_SETTINGS: dict[str, Any] = {
    # A worker takes a task when it has a process for it: none waits behind a run of hours while
    # another worker has nothing to do.
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    # What a run took in memory is given back, and a crash ends one run.
    "worker_max_tasks_per_child": 1,
    "worker_proc_alive_timeout": 60.0,
    # What became of a run is in Dagster's storage.
    "result_backend": None,
    "task_ignore_result": True,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {"visibility_timeout": _LONGEST},
    # Dagster writes a run's log into its storage, and to standard error.
    "worker_redirect_stdouts": False,
}


#: Of connections to Dagster's storage: when they are renewed, in seconds, and how many are added to
#: the three that a run keeps.
_RECYCLE, _MORE = 1_800, 4
_NO_TIMEOUT = 0


def _execute(task: Any, execute_job_args_packed: Any) -> int:
    """Execute a run to its end, successful or not; Dagster's storage keeps which."""
    args = unpack_value(execute_job_args_packed, as_type=ExecuteRunArgs)
    with DagsterInstance.get() as instance:
        # Else it opens a connection for each statement: a thousand in a small run, each with an
        # exchange of keys, which took a third of its processor time.
        instance.optimize_for_webserver(_NO_TIMEOUT, _RECYCLE, _MORE)
        instance.add_run_tags(args.run_id, {WORKER: task.request.hostname})
        return execute_run(args.run_id, instance, lambda _: None, set_exit_code_on_failure=True)


@event.listens_for(Pool, "checkout")
def _is_alive(connection: Any, *_: object) -> None:
    """Have a connection replaced that was cut since it was used, as by a server that restarted.

    Raises:
        DisconnectionError: SQLAlchemy opens another one.
    """
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
    except connection.Error as error:
        raise DisconnectionError from error


def _make() -> Any:
    app = make_app()
    app.conf.update(_SETTINGS)
    app.task(_execute, bind=True, name=TASK_EXECUTE_JOB_NAME)
    # It logs each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return app


app = _make()
