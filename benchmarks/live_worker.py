"""The process that works webhook files off (`hatif live`): what it uses, and killing it."""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def worker_of(home: Path) -> int | None:
    """Return the process that works off this home's files, None while there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            there = f"HATIF_HOME={home}\0".encode() in (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended
        if b"live" in words and there:
            return int(folder.name)
    return None


def _used(pid: int | None) -> tuple[float, int]:
    """Return a process's seconds of processor time and MB of memory."""
    if pid is None:
        return 0.0, 0
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) * _TICK, pages * os.sysconf("SC_PAGE_SIZE") >> 20


@dataclass
class Worker:
    """What the processes that work off the files used, one after the other.

    Attributes:
        processor: seconds of the processor when each was met first, and last, by its id.
        memory: MB that it held, once a second.
    """

    processor: dict[int, tuple[float, float]] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)

    def watch(self, home: Path, stop: threading.Event) -> None:
        """Look once a second until `stop` is set; one process is looked for while there is none."""
        pid = None
        while not stop.wait(1):
            if pid is None or not Path(f"/proc/{pid}/stat").exists():
                pid = worker_of(home)
                continue
            try:
                seconds, megabytes = _used(pid)
            except OSError:
                continue  # it was killed at this moment
            if not megabytes:  # killed, and not waited for yet
                pid = None
                continue
            self.processor[pid] = self.processor.get(pid, (seconds, 0.0))[0], seconds
            self.memory.append(megabytes)

    @property
    def seconds(self) -> float:
        """Seconds of the processor that were used meanwhile."""
        return sum(last - first for first, last in self.processor.values())

    @property
    def course(self) -> str:
        """The memory at the beginning, in the middle, at the end and at most."""
        if not self.memory:
            return "unknown"
        some = self.memory[0], self.memory[len(self.memory) // 2], self.memory[-1]
        return f"{' → '.join(map(str, some))} MB, at most {max(self.memory)}"


def kill(home: Path, kills: int, seconds: float, stop: threading.Event, killed: list[int]) -> None:
    """Kill the process that does the work at random moments until `stop` is set; note which."""
    for _ in range(kills):
        stop.wait(random.uniform(0.5, 1.5) * seconds / kills)
        while (pid := worker_of(home)) is None:
            if stop.wait(0.2):
                return
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
