"""Memory, threads and open files of the processes of ``dagster dev``, minute by minute."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from benchmarks.seven_days_storage import measure
from rehearsal import RehearsalServer

_ROOT = Path(__file__).parents[1]
#: Seconds between two webhook files.
_PAUSE = 3.0
#: What a command line holds, and what we call such a process.
_ROLES = {
    "dagster._daemon": "daemon",
    "dagster_webserver": "web server",
    "api grpc": "code server",
    "live --reports": "hatif live",
    "api execute_run": "a run",
    " dev ": "dev",
}


def watch(server: RehearsalServer, root: Path, lasting: timedelta, port: int) -> None:
    """Start ``dagster dev``, let the service live, and print what its processes hold."""
    since = server.now
    with (root / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dagster", "dev", "-m", "benchmarks.seven_days_clock"),
                *("-h", "127.0.0.1", "-p", str(port)),
            ],
            cwd=_ROOT,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    began, minute = time.monotonic(), 0
    try:
        while (passed := time.monotonic() - began) < lasting.total_seconds():
            server.advance(timedelta(seconds=_PAUSE), messages=2, status_changes=2)
            server.write_webhooks(root / "home" / "webhooks", since)
            since = server.now
            if passed >= 60 * minute:
                _report(process.pid, root, minute)
                minute += 1
            time.sleep(_PAUSE)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _report(session: int, root: Path, minute: int) -> None:
    parts = [f"{minute} min"]
    for name, pid in sorted(_processes(session)):
        status = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        pss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Pss:"))
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        parts.append(f"{name}: {pss // 1024} MB, {files} files, {threads} threads")
    for folder in ("dagster", "home"):
        count, size = measure(root / folder)
        parts.append(f"{folder}: {size / 1e6:.1f} MB in {count:,} files")
    print("; ".join(parts), flush=True)


def _processes(session: int) -> Iterator[tuple[str, int]]:
    """Yield the processes of a session, each with what it does."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if os.getsid(int(folder.name)) != session:
                continue
            role = next((role for words, role in _ROLES.items() if words in command), None)
            if role is not None and role != "a run":
                yield role, int(folder.name)
