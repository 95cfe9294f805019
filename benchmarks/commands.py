"""``python -m benchmarks.commands``: what each command costs before it does anything.

    python -m benchmarks.commands [--rounds 5] [--hatif PATH]

A small workspace is synced into a throw-away home. Then each command runs in turn with
``python -c "import duckdb"``, the least that any of them needs. Figures are medians of processor
seconds, the process's own and the system's, and as multiples of that import. ``--hatif`` names the
command of another version to measure beside this one.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rehearsal import RehearsalServer, WorldSpec

_IMPORT = [sys.executable, "-c", "import duckdb"]
#: Variables of this machine that change what a command costs; without bytecode each compiles anew.
_OURS = {"DAGSTER_HOME", "PYTHONDONTWRITEBYTECODE"}
_COMMANDS = (
    ["--help"],
    ["query", "SELECT 1"],
    ["status"],
    ["sync", "--only", "models"],
    ["sync"],
)


def _processor_seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environments(server: RehearsalServer, versions: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return an environment with a synced home for each version."""
    found = {}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HATIF_") and name not in _OURS
    }
    for version in versions:
        found[version] = kept | {
            "HATIF_BASE_URL": server.url,
            "HATIF_CLIENT_ID": server.client_id,
            "HATIF_CLIENT_SECRET": server.client_secret,
            "HATIF_HOME": tempfile.mkdtemp(prefix="hatif-bench-"),
            "HATIF_REQUESTS_PER_MINUTE": "0",
        }
        subprocess.run([version, "sync"], check=True, env=found[version], capture_output=True)
    return found


def _measure(environments: dict[str, dict[str, str]], rounds: int) -> None:
    runs: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for version, environment in environments.items():
            for arguments in _COMMANDS:
                seconds = _processor_seconds([version, *arguments], environment)
                runs.setdefault((version, " ".join(arguments)), []).append(seconds)
            seconds = _processor_seconds(_IMPORT, environment)
            runs.setdefault(("python", "import duckdb"), []).append(seconds)
    least = statistics.median(runs["python", "import duckdb"])
    for (version, command), found in runs.items():
        seconds = statistics.median(found)
        print(f"{version} {command}: {seconds:.2f} s, {seconds / least:.1f} times the import")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hatif", action="append", default=[])
    options = parser.parse_args()
    ours = str(Path(sys.executable).with_name("hatif"))
    environments: dict[str, dict[str, str]] = {}
    with RehearsalServer(WorldSpec(contacts=60, conversations=40, events=800)) as server:
        try:
            environments = _environments(server, [ours, *options.hatif])
            _measure(environments, options.rounds)
        finally:
            for environment in environments.values():
                shutil.rmtree(environment["HATIF_HOME"])


if __name__ == "__main__":
    main()
