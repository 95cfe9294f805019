"""``dagster dev`` as people start it: a throw-away home of Dagster, and questions by GraphQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.pipelines.conftest import ROOT

T = TypeVar("T")

_LAUNCH = """
mutation Launch($job: String!, $config: RunConfigData!) {
  launchRun(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "LOCATION", jobName: $job}
    runConfigData: $config
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
_RUNS = "{ runsOrError { ... on Runs { results { runId status jobName parentRunId }}}}"
_PID = """
query Pid($run: ID!) { logsForRun(runId: $run) { ... on EventConnection {
  events { ... on EngineEvent { message markerStart }}}}}
"""
_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on PythonError { message } }}}}}
"""


def until(found: Callable[[], T | None], seconds: float, what: str) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (answer := found()) is not None:
            return answer
        time.sleep(1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


class DagsterDev:
    """Web server, daemon and code server in a process group of their own.

    Args:
        home: DAGSTER_HOME; gets the dagster.yaml that we ship.
        environment: of the processes.
        module: whose definitions are loaded.
        port: of the web server.
    """

    def __init__(self, home: Path, environment: dict[str, str], module: str, port: int) -> None:
        home.mkdir(exist_ok=True)
        shipped = (ROOT / "pipelines" / "dagster.yaml").read_text(encoding="utf-8")
        (home / "dagster.yaml").write_text(shipped, encoding="utf-8")
        self.home = str(home)
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        self.module = module
        self.environment = {**environment, "DAGSTER_HOME": self.home, "PYTHONPATH": str(ROOT)}
        self._log = home / "dev.log"
        self._command = [
            *(str(Path(sys.executable).with_name("dagster")), "dev", "-m", module),
            *("-h", "127.0.0.1", "-p", str(port)),
        ]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve inside; all its processes have ended afterwards.

        Raises:
            OSError: the port is taken, as by the server of a test run that was killed.
        """
        with socket.socket() as port:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.bind(("127.0.0.1", self._port))
        # Several processes at once must not be the first in a new home.
        subprocess.run(
            [self._command[0], "instance", "info"],
            env=self.environment,
            check=True,
            capture_output=True,
        )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._is_loaded, 240, "dagster dev serves the definitions")
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of an answer by GraphQL."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def launch(self, job: str, **config: Any) -> str:
        """Launch a run as the button does; return its id."""
        query = _LAUNCH.replace("LOCATION", self.module)
        launched = self.ask(query, job=job, config=config)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, the latest first."""
        found: list[dict[str, Any]] = self.ask(_RUNS)["runsOrError"]["results"]
        return found

    def pid_of(self, run_id: str) -> int | None:
        """Return the process that executes a run's steps, None before there is one."""
        events = self.ask(_PID, run=run_id)["logsForRun"]["events"]
        wording = [
            e["message"]
            for e in events
            if "Executing steps in process (pid:" in e.get("message", "")
        ]
        return int(wording[-1].rpartition(": ")[2].rstrip(")")) if wording else None

    def _is_loaded(self) -> bool | None:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")[-2_000:]
        try:
            entries = self.ask(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except httpx.HTTPError:
            return None
        loaded = [e for e in entries if e["loadStatus"] == "LOADED"]
        assert all(e["locationOrLoadError"]["__typename"] != "PythonError" for e in loaded), loaded
        return bool(loaded) or None
