"""Which process a run is executed by, so that a run whose process is gone can be told.

Dagster's own launcher notices a run that was killed while its code server lives. One that ended
with the machine, or that `hatif sync` recorded, it takes for a run under way for ever.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import dagster as dg

#: Tag of a run: machine, process, when that began, and the run, since a retry takes over all tags.
TAG = "hatif/process"


def tag(run_id: str) -> dict[str, str]:
    """Return the tag of a run that this process executes."""
    pid = os.getpid()
    return {TAG: f"{_machine()} {pid} {_began(pid)} {run_id}"}


def is_lost(run: dg.DagsterRun) -> bool:
    """Whether the process of a run was one of this machine, and has ended."""
    host, pid, began, run_id = (run.tags.get(TAG) or "- 0 - -").rsplit(" ", 3)
    is_its_own = run_id == run.run_id and host == _machine()
    return is_its_own and _began(int(pid)) != began


def _machine() -> str:
    """Return what numbers of processes belong to: containers of one name have different ones."""
    try:
        numbers = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{numbers}"


def _began(pid: int) -> str:
    """Return when a process began, `-` where the system does not say, `0` where there is none."""
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return "0" if Path("/proc/self/stat").exists() or not _is_there(pid) else "-"
    return "0" if state == "Z" else facts[18]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
