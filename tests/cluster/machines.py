"""Dagster as on several machines: a code server, a daemon and workers, each a process of its own.

They share a PostgreSQL server and a broker, and the instance of deploy/dagster.yaml.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster_graphql.cli import execute_query
from dagster_graphql.client.query import LAUNCH_MULTIPLE_RUNS_MUTATION

from tests.cluster.servers import Broker, Postgres, free_port, listens

ROOT = Path(__file__).parents[2]
_INSTANCE = ROOT / "deploy" / "dagster.yaml"
_MODULE = "tests.cluster.runs_only"
_LOCATION = "hatif"
#: With what an address must encode.
_PASSWORD = "storage/password%40"
_LONGEST = 1_200.0
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


class Machines:
    """All processes; a context manager that ends them.

    Args:
        folder: for what they write: the instance, and a log of each.
        postgres: keeps Dagster's storage, in a database of its own.
        broker: holds the queue.
        environment: HATIF_ variables of the runs.
        at_once: how many runs may be under way.
    """

    def __init__(
        self,
        folder: Path,
        postgres: Postgres,
        broker: Broker,
        environment: Mapping[str, str],
        at_once: int,
    ) -> None:
        self.folder = folder
        self._home = folder / "dagster"
        self._home.mkdir(parents=True)
        self.database = database = f"dagster_{os.urandom(6).hex()}"
        with postgres.session() as session:
            session.execute(f"CREATE ROLE {database} LOGIN PASSWORD '{_PASSWORD}'")
            session.execute(f"CREATE DATABASE {database} OWNER {database}")
        self.secrets = {_PASSWORD, broker.password}
        self._write_instance()
        self._variables = {
            "DAGSTER_HOME": str(self._home),
            "DAGSTER_POSTGRES_HOST": postgres.host,
            "DAGSTER_POSTGRES_PORT": str(postgres.port),
            "DAGSTER_POSTGRES_DB": database,
            "DAGSTER_POSTGRES_USER": database,
            "DAGSTER_POSTGRES_PASSWORD": _PASSWORD,
            "DAGSTER_RUNS_AT_ONCE": str(at_once),
            "CELERY_BROKER_URL": broker.url,
        }
        self._environment = {**os.environ, **environment, **self._variables}
        self._environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *_beside()])
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = free_port()

    def _write_instance(self) -> None:
        """Write the instance that operators have, with less time between two looks.

        And two runs at once of a workspace, so that they need its locks.
        """
        text = _INSTANCE.read_text()
        text, found = re.subn(r"poll_interval_seconds: \d+", "poll_interval_seconds: 1", text)
        text, limits = re.subn(r"limit: 1}", "limit: 2}", text)
        assert (found, limits) == (1, 2)
        (self._home / "dagster.yaml").write_text(text)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._end)
            self._start_code_server()
            self._start("daemon", "dagster-daemon", "run", "-w", str(self._home / "workspace.yaml"))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in self._variables.items():
                patch.setenv(name, value)
            home = str(self._home)
            self.instance = stack.enter_context(dg.DagsterInstance.from_config(home))
            target = GrpcServerTarget("127.0.0.1", self._port, None, _LOCATION)
            context = WorkspaceProcessContext(self.instance, target)
            self._context = stack.enter_context(context)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start_code_server(self) -> None:
        server = ("api", "grpc", "--host", "127.0.0.1", "--port", str(self._port))
        self._start("code", "dagster", *server, "--module-name", _MODULE)
        place = f"{{host: 127.0.0.1, port: {self._port}, location_name: {_LOCATION}}}"
        (self._home / "workspace.yaml").write_text(f"load_from: [grpc_server: {place}]\n")
        self.await_that(lambda: listens(self._port), "the code server listens")

    def start_worker(self, name: str, processes: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker; it leads a process group of its own."""
        return self._start(
            name,
            *("celery", "--app", "pipelines.celery_app", "worker", "--hostname", f"{name}@%h"),
            *("--concurrency", str(processes), "--loglevel", "INFO"),
        )

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        program, *arguments = words
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        if program == "celery":  # beside the environment, see `make test-cluster`
            command = [sys.executable, "-m", program, *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def launch(self, job: str, workspaces: Sequence[str], **session: object) -> list[str]:
        """Launch a run of a job for each workspace, as the UI does; return their ids."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": _LOCATION,
            "jobName": job,
        }
        runs = [
            {
                "selector": selector,
                "runConfigData": {"resources": {"session": {"config": session}}},
                "executionMetadata": {
                    "tags": [
                        {"key": "dagster/partition", "value": name},
                        {"key": "hatif/workspace", "value": name},
                    ]
                },
            }
            for name in workspaces
        ]
        found = execute_query(
            self._context, LAUNCH_MULTIPLE_RUNS_MUTATION, {"executionParamsList": runs}
        )
        results = found["data"]["launchMultipleRuns"]["launchMultipleRunsResult"]
        assert {one["__typename"] for one in results} == {"LaunchRunSuccess"}, results
        return [one["run"]["runId"] for one in results]

    def records(self) -> list[dg.RunRecord]:
        """Return all runs, the oldest first."""
        return list(self.instance.get_run_records(ascending=True))

    def process_of(self, run_id: str) -> int:
        """Return the process that executes a run."""
        (event,) = (
            event.dagster_event
            for event in self.instance.all_logs(run_id)
            if event.dagster_event and "Started process for run" in str(event.dagster_event.message)
        )
        (found,) = re.findall(r"pid: (\d+)", str(event and event.message))
        return int(found)

    def await_ends(self) -> None:
        """Wait until no run is under way, nor one to be launched again."""
        self.await_that(self._all_ended, "all runs have ended")

    def _all_ended(self) -> bool:
        runs = [record.dagster_run for record in self.records()]
        again = {run.parent_run_id for run in runs}
        return all(
            run.status in _ENDED and (not run.is_failure or _is_final(run) or run.run_id in again)
            for run in runs
        )

    def await_that(self, holds: Callable[[], Any], what: str) -> None:
        """Wait for something that the processes do."""
        deadline = time.monotonic() + _LONGEST
        while not holds():
            ended = [one.args for one in self._processes if one.poll() not in (None, -9)]
            assert not ended, f"{ended}\n{self.written()[-2_000:]}"
            assert time.monotonic() < deadline, f"not so in time: {what}"
            time.sleep(0.5)  # each look costs the server and this process time of their own

    def written(self) -> str:
        """Return all that the processes printed."""
        return "".join(log.read_text() for log in self.folder.glob("*.log"))


def _is_final(run: dg.DagsterRun) -> bool:
    """Whether a failed run is not launched again; the tag comes after its status."""
    return run.tags.get("dagster/will_retry") == "false"


def _beside() -> list[str]:
    """Return where packages lie that are not in the environment, see `make test-cluster`."""
    return [path for path in sys.path if Path(path).name == ".cluster"]
