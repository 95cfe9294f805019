"""``make bench``: full sync of timelines beside the floor, in one run, and memory against rows.

Both end with every version stored and typed; messages, calls and marts are another benchmark's.

    python -m benchmarks [--rows 500000] [--rounds 3] [--memory]

Figures are ratios within a run; this prints medians of several.
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
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.served import running

_PER_CONVERSATION = 200


def pages_served(rows: int) -> AbstractContextManager[str]:
    """The address of a server of so many events; its own process."""
    return running("benchmarks.served", str(rows // _PER_CONVERSATION), str(rows))


@contextmanager
def _home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    try:
        yield home
    finally:
        shutil.rmtree(home)


def _floor(url: str) -> float:
    with _home() as home:
        command = [sys.executable, "-m", "benchmarks.floor", url, str(home)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return float(found["rows"] / found["seconds"])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a full sync by the command took.

    Attributes:
        rate: rows a second, the command's own start left out.
        peak: memory, in MB.
        status: seconds that ``hatif status`` takes afterwards, its start included.
    """

    rate: float
    peak: int
    status: float


def measure(url: str) -> Measured:
    """Sync in full into a home of its own."""
    with _home() as home:
        environment = {
            **os.environ,
            "HATIF_BASE_URL": url,
            "HATIF_CLIENT_ID": "bench",
            "HATIF_CLIENT_SECRET": "bench",
            "HATIF_HOME": str(home),
            "HATIF_REQUESTS_PER_MINUTE": "0",
        }
        environment.pop("DAGSTER_HOME", None)

        def hatif(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "benchmarks.measured", *words, "--json"]
            return subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )

        done = hatif("sync", "--full", "--only", "api")
        began = time.perf_counter()
        hatif("status")
        status = time.perf_counter() - began
    found = json.loads(done.stdout)
    peak = int(done.stderr.rsplit("peak MB", 1)[1])
    return Measured(found["streams"]["timelines"]["rows_read"] / found["seconds"], peak, status)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also 100,000 and 1,000,000 rows")
    options = parser.parse_args()
    ours, floors, ratios = [], [], []
    with pages_served(options.rows) as url:
        for _ in range(options.rounds):
            floor = _floor(url)
            found = measure(url)
            ours.append(found.rate)
            floors.append(floor)
            ratios.append(found.rate / floor)
            print(
                f"sync {found.rate:9,.0f} rows/s   floor {floor:9,.0f}   peak {found.peak} MB",
                flush=True,
            )
    print(
        f"median of {options.rounds}: {statistics.median(ours):,.0f} rows/s, "
        f"{statistics.median(ratios):.2f} of the floor ({statistics.median(floors):,.0f})"
    )
    if options.memory:
        for rows in (100_000, 1_000_000):
            with pages_served(rows) as url:
                found = measure(url)
            print(
                f"{rows:9,} rows: peak {found.peak} MB, {found.rate:,.0f} rows/s, "
                f"hatif status {found.status:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
