"""Which process a run is executed by, so that a run whose process is gone can be told.

Dagster's own launcher notices a run that was killed while its code server lives. One that ended
with the machine, or that `hatif sync` recorded, it takes for a run under way for ever.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

#: Tag of a run: machine, process, and when that began.
TAG = "hatif/process"


def tag() -> dict[str, str]:
    """Return the tag of runs that this process executes."""
    pid = os.getpid()
    return {TAG: f"{socket.gethostname()} {pid} {_began(pid)}"}


def is_gone(process: str) -> bool:
    """Whether a process of this machine has ended, by the value of its tag."""
    host, pid, began = process.rsplit(" ", 2)
    return host == socket.gethostname() and _began(int(pid)) != began


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
