"""``python -m benchmarks.incremental``: what an incremental sync costs as history grows.

    python -m benchmarks.incremental [--events 20000 500000] [--rounds 3]

3,000 contacts and conversations on the rehearsal server; 50 conversations become active between
two syncs. Prints requests and seconds of ``hatif sync``, medians of several rounds in turn, and how
many of the requests read lists for an event in them that was due to be looked at again: in a world
that began a moment ago those are many, and more the more events it has.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_PARENTS = 3_000
_ACTIVE = 50
_STEPS = """
    SELECT coalesce(sum(requests), 0) FROM ops.scans WHERE reason = 'step'
        AND run_id = (SELECT max_by(run_id, started_at) FROM ops.runs)
"""


@dataclass
class World:
    """A served workspace, a home that follows it, and what its syncs have cost."""

    events: int
    url: str
    environment: dict[str, str]
    requests: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def sync(self) -> dict[str, float]:
        """Sync, and return its own figures."""
        command = [str(Path(sys.executable).with_name("hatif")), "sync", "--only", "api", "--json"]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=self.environment
        )
        found: dict[str, float] = json.loads(done.stdout)
        return found

    def measure(self) -> None:
        """Let conversations become active, and sync."""
        httpx.post(f"{self.url}/_rehearsal/actions/touch_conversations?n={_ACTIVE}")
        found = self.sync()
        steps = self._steps()
        self.requests.append(int(found["requests"]) - steps)
        self.steps.append(steps)
        self.seconds.append(found["seconds"])

    def _steps(self) -> int:
        """Requests of the last run that were made for steps that had fallen due."""
        with Lake(Settings.load(home=Path(self.environment["HATIF_HOME"])), read_only=True) as lake:
            row = lake.reader().execute(_STEPS).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def _world(events: int) -> Iterator[World]:
    size = ["--contacts", str(_PARENTS), "--conversations", str(_PARENTS), "--events", str(events)]
    command = [sys.executable, "-m", "rehearsal", *size]
    home = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        words = server.stdout.readline().split()
        given = dict(part.split("=", 1) for part in words if "=" in part)
        url = next(part for part in words if part.startswith("http"))
        environment = {
            **os.environ,
            "HATIF_BASE_URL": url,
            "HATIF_CLIENT_ID": given["client_id"],
            "HATIF_CLIENT_SECRET": given["client_secret"],
            "HATIF_HOME": str(home),
            "HATIF_REQUESTS_PER_MINUTE": "0",
        }
        environment.pop("DAGSTER_HOME", None)
        try:
            yield World(events, url, environment)
        finally:
            server.terminate()
            shutil.rmtree(home)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[20_000, 500_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        worlds = [stack.enter_context(_world(events)) for events in options.events]
        for world in worlds:
            world.sync()
            world.sync()
            nothing = world.sync()
            print(
                f"{world.events:9,} events, nothing changed: {nothing['requests']} requests, "
                f"{nothing['seconds']:.1f} s",
                flush=True,
            )
        for _ in range(options.rounds):
            for world in worlds:
                world.measure()
    for world in worlds:
        print(
            f"{world.events:9,} events, {_ACTIVE} active: "
            f"{statistics.median(world.requests):.0f} requests and "
            f"{statistics.median(world.steps):.0f} for steps that were due, "
            f"{statistics.median(world.seconds):.2f} s"
        )


if __name__ == "__main__":
    main()
