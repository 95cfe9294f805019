"""``python -m benchmarks.first_hour``: the first hour of somebody new, played from a fresh clone.

    python -m benchmarks.first_hour > transcript.txt

It clones this checkout into an empty folder and types what README and the instructions printed
say, nothing else: one terminal serves a made-up workspace (``make play``), the other follows what
that prints. The transcript has every command with what it shows, then minutes and commands.
Installing needs the package index.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SHOWN = 30


def _typed(command: str, place: Path, environment: dict[str, str]) -> str:
    """Run a command as a person would; show it with the end of its output, and return that."""
    began = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    _show(command, done.stdout, f"exit {done.returncode}, {time.monotonic() - began:.0f} s")
    if done.returncode:
        sys.exit(1)
    return done.stdout


def _show(command: str, output: str, end: str) -> None:
    lines = output.rstrip().splitlines()
    cut = ["…"] if len(lines) > _SHOWN else []
    sys.stdout.write("\n".join([f"$ {command}", *cut, *lines[-_SHOWN:], f"[{end}]", "", ""]))
    sys.stdout.flush()


def main() -> None:
    """Play it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HATIF_", "DAGSTER_", "VIRTUAL_ENV"))
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        clone = place / "hatif-warehouse"
        _typed(f"git clone -q {shlex.quote(str(_ROOT))} hatif-warehouse", place, environment)
        serving = subprocess.Popen(
            ["make", "play"],
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed = ""
            while "faults/rate" not in printed:
                line = serving.stdout.readline() if serving.stdout else ""
                if not line:
                    sys.exit("make play ended")
                printed += line
            _show("make play", printed, f"serves on, {time.monotonic() - began:.0f} s so far")
            steps = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
            go, sync, query = steps[:3]
            for command in (f"{go} && {sync}", f"{go} && {query}"):
                _typed(command, place, environment)
        finally:
            os.killpg(serving.pid, signal.SIGINT)
            serving.wait(30)
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"4 commands (cd beside them), {minutes:.1f} minutes to the first answer\n")


if __name__ == "__main__":
    main()
