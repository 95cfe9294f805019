"""Seven days of steady traffic with Dagster: what accumulates, and what is forgotten again.

``python -m benchmarks.seven_days [--hours N]``: how Dagster's storage grows.

Seven days have 2,200 runs, which would take hours of processor time. Each job is run once, in full,
against the rehearsal server; its rows and files in Dagster's storage are then copied as often as
the schedules begin it, dated to the simulated hour, and every hour is tidied by the job's own code.

``python -m benchmarks.seven_days --home HOURS``: files, catalog and lake of a home that is synced
every so many simulated hours, and maintained every night.

``python -m benchmarks.seven_days --processes MINUTES``: memory, threads and open files of the
processes of ``dg dev`` with a living service and webhooks that come without a pause.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from benchmarks.seven_days_home import live_through
from benchmarks.seven_days_processes import watch
from benchmarks.seven_days_storage import Copies, measure
from hatif.streams import STREAMS
from pipelines.definitions import defs
from pipelines.retention import tidy
from rehearsal import RehearsalServer, WorldSpec
from sync.run import compute, read_service
from sync.session import open_session
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

ROOT = Path(__file__).parents[1]
#: How often a job runs in an hour: by its schedule, `models` after each that changed something.
_HOURLY = {"hot_sync": 4, "contacts_sync": 1, "deep_pass": 1, "models": 6, "tidy_runs": 1}
_NIGHTLY = {"reconcile": 1, "maintenance": 1, "webhooks": 1}


@contextmanager
def _played(folder: Path) -> Iterator[tuple[RehearsalServer, Settings]]:
    """Serve a workspace, and put the settings of a home of it into the environment."""
    with RehearsalServer(WorldSpec(contacts=300, conversations=200, events=4_000)) as server:
        (folder / "home" / "webhooks").mkdir(parents=True)
        os.environ |= {
            "HATIF_BASE_URL": server.url,
            "HATIF_CLIENT_ID": server.client_id,
            "HATIF_CLIENT_SECRET": server.client_secret,
            "HATIF_HOME": str(folder / "home"),
            "HATIF_REQUESTS_PER_MINUTE": "0",
            "DAGSTER_HOME": str(folder / "dagster"),
        }
        (folder / "dagster").mkdir()
        shutil.copy(ROOT / "pipelines" / "dagster.yaml", folder / "dagster")
        settings = Settings.load()
        with open_session(settings) as session:
            read_service(session, list(STREAMS))
        with open_lake(settings) as lake:
            compute(lake, settings, files=True)
        yield server, settings


def run_each_once(
    instance: dg.DagsterInstance, server: RehearsalServer, home: Path
) -> dict[str, str]:
    """Run each job once, with something new to read; return the ids of the runs."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    found = {}
    for name in (*_HOURLY, *_NIGHTLY):
        since = server.now
        server.advance(timedelta(minutes=15), messages=20, status_changes=20)
        server.write_webhooks(home / "webhooks", since)
        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance, run_config=None if name == "tidy_runs" else quiet
        )
        found[name] = result.run_id
    return found


def storage(hours: int) -> None:
    """Print how Dagster's storage grows in simulated hours."""
    with tempfile.TemporaryDirectory() as place, _played(Path(place)) as (server, settings):
        root = Path(place) / "dagster"
        with dg.DagsterInstance.get() as instance:
            runs = run_each_once(instance, server, settings.home)
            for name, run_id in runs.items():
                size = (root / "history" / "runs" / f"{run_id}.db").stat().st_size
                print(f"{name}: {size / 1e6:.2f} MB in its own file")
            with closing(Copies(root)) as copies:
                _simulate(instance, copies, runs, root, hours)


def _simulate(
    instance: dg.DagsterInstance, copies: Copies, runs: dict[str, str], root: Path, hours: int
) -> None:
    began = datetime.now(UTC) - timedelta(hours=hours)
    for hour in range(1, hours + 1):
        now = began + timedelta(hours=hour)
        for name, times in (_HOURLY | (_NIGHTLY if hour % 24 == 0 else {})).items():
            for _ in range(times):
                copies.copy(runs[name], now)
        for _ in range(2):
            copies.copy_events_without_run(now)
        tidy(instance, now)
        if hour % 24 == 0 or hour == hours:
            files, size = measure(root)
            print(f"day {hour / 24:.1f}: {size / 1e6:.0f} MB, {files:,} files, {copies.counts()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two parts; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=168, help="simulated hours")
    parser.add_argument("--processes", type=float, help="minutes to watch the processes for")
    parser.add_argument("--home", type=float, help="simulated hours between two syncs of a home")
    parser.add_argument("--port", type=int, default=3000, help="of Dagster's web server")
    given = parser.parse_args(arguments)
    if given.home is not None:
        with tempfile.TemporaryDirectory() as place, _played(Path(place)) as (server, settings):
            live_through(server, settings, given.hours // 24, timedelta(hours=given.home))
    elif given.processes is None:
        storage(given.hours)
    else:
        with tempfile.TemporaryDirectory() as place, _played(Path(place)) as (server, _):
            watch(server, Path(place), timedelta(minutes=given.processes), given.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
