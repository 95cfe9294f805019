"""``python -m benchmarks.workspaces``: first syncs of several workspaces, on one and two workers.

    make test-cluster  # once: the servers are packages that it installs beside the environment
    PYTHONPATH=.cluster python -m benchmarks.workspaces [--workspaces 1 2 4 8] [--workers 1 2]
        [--conversations 800] [--latency 0.1] [--processes 4]

Everything is as on several machines, on this one: Dagster's storage and a catalog for each
workspace on PostgreSQL, a broker, a code server, a daemon and Celery's workers with some processes
each. The service answers after the latency, without a request budget. Printed for each number of
workspaces and workers, from the first run's start to the last one's end: rows and requests of all
together, and how busy the machine's processors were, other programs' work included. Where they are
near 100 %, the machine ends what more workspaces could bring.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.served import App, running, serve
from tests.cluster.machines import Machines
from tests.cluster.servers import Broker, Postgres

_EVENTS = 20  # of a conversation
_COUNTED = "/_requests"


class _Slow:
    """The service with a latency; it counts requests."""

    def __init__(self, app: App, latency: float) -> None:
        self._app = app
        self._latency = latency
        self._requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == _COUNTED:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % self._requests})
            return
        self._requests += 1
        await asyncio.sleep(self._latency)
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Processors:
    """Ticks of all processors since the machine started."""

    busy: int
    all: int

    @classmethod
    def now(cls) -> _Processors:
        ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        return cls(sum(ticks) - idle, sum(ticks))

    def busy_since(self, before: _Processors) -> float:
        return (self.busy - before.busy) / (self.all - before.all)


def _measure(machines: Machines, url: str, names: Sequence[str], rows: int, title: str) -> None:
    """Sync workspaces for the first time, each by a run, and print what that took."""
    requests, processors = _requests(url), _Processors.now()
    ids = set(machines.launch("full_sync", names, full=True))
    machines.await_ends()
    busy = _Processors.now().busy_since(processors)
    requests = _requests(url) - requests
    found = [one for one in machines.records() if one.dagster_run.run_id in ids]
    failed = [one.dagster_run.run_id for one in found if not one.dagster_run.is_success]
    if failed:
        raise SystemExit(f"failed: {failed}\n{machines.written()[-5_000:]}")
    seconds = max(one.end_time or 0.0 for one in found) - min(
        one.start_time or 0.0 for one in found
    )
    print(
        f"{title}: {seconds:5.1f} s, {len(names) * rows / seconds:7,.0f} rows/s, "
        f"{requests / seconds * 60:7,.0f} requests/min, processors {busy:4.0%} busy",
        flush=True,
    )


def _requests(url: str) -> int:
    with urlopen(url + _COUNTED) as answer:
        return int(answer.read())


def _prepare(folder: Path, postgres: Postgres, url: str, names: Sequence[str]) -> dict[str, str]:
    """Write the file of all workspaces and make their databases; return the variables of runs."""
    tables = ['[defaults]\nclient_secret = "bench"\nrequests_per_minute = 0\n']
    with postgres.session() as session:
        for name in names:
            session.execute(f'CREATE DATABASE "hatif_{name}"')
            tables.append(f'[{name}]\nbase_url = "{url}"\nclient_id = "{name}"\n')
    file = folder / "workspaces.toml"
    file.write_text("".join(tables))
    file.chmod(0o600)  # it holds a secret
    return {
        "HATIF_WORKSPACES": str(file),
        "HATIF_HOME": str(folder / "homes"),
        "HATIF_CATALOG": f"postgres:{postgres.dsn('hatif')}",
        "HATIF_LAKE": str(folder / "lake"),
    }


def _all(options: argparse.Namespace) -> None:
    cells = {
        (workers, number): [f"w{workers}-{number}-{one}" for one in range(number)]
        for workers in sorted(options.workers)
        for number in options.workspaces
    }
    names = [name for cell in cells.values() for name in cell]
    rows = options.conversations * _EVENTS
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
        stack.callback(shutil.rmtree, folder)
        server = ("benchmarks.workspaces", "--serve", str(options.conversations))
        url = stack.enter_context(running(*server, "--latency", str(options.latency)))
        data = Path(tempfile.mkdtemp(prefix="hatif-postgres-"))
        stack.callback(shutil.rmtree, data)
        postgres, broker = Postgres(data), Broker()
        for one in (postgres, broker):
            one.start()
            stack.callback(one.stop)
        variables = _prepare(folder, postgres, url, names)
        at_once = max(options.workers) * options.processes
        machines = stack.enter_context(Machines(folder, postgres, broker, variables, at_once))
        started = 0
        print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        for (workers, number), cell in cells.items():
            while started < workers:
                started += 1
                machines.start_worker(f"worker{started}", options.processes)
            title = f"{workers} workers, {number} workspaces"
            _measure(machines, url, cell, rows, title)


def main() -> None:
    """Measure and print; or serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspaces", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--conversations", type=int, default=800)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds")
    parser.add_argument("--processes", type=int, default=4, help="of a worker")
    parser.add_argument("--serve", type=int, metavar="CONVERSATIONS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        app = App(options.serve, options.serve * _EVENTS)
        app.prerender()
        serve(_Slow(app, options.latency))
        sys.exit()
    _all(options)


if __name__ == "__main__":
    main()
