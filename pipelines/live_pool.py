"""Processes of ``hatif live`` for several workspaces: only where files are new, and a few at once.

Each takes one to two hundred megabytes, so dozens cannot stay as the one of a single workspace
does. A process is started where files differ from those worked off, and ended when nothing came
for some minutes, or sooner where another workspace waits for its place. More workspaces than there
are places are worked off by runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pipelines.live_process import Heard, LiveProcess
from pipelines.terminal import own_program

#: Processes at the same time.
PLACES = 4
#: Seconds without a delivery after which one is ended, or may give way to another workspace's.
_IDLE, _GIVES_WAY = 300.0, 30.0
#: Its files must have been as they are for so long: it has seen them then.
_SEEN = 10.0


class _Tended:
    """A process, and since when there is nothing to do for it."""

    def __init__(self, process: LiveProcess, now: float) -> None:
        self.process = process
        self.idle_since = now
        self.seen: str | None = None
        self.seen_at = now


class LivePool:
    """Starts, tends and ends the processes of workspaces.

    Args:
        places: processes at the same time.
        process_of: makes the process of a workspace.
    """

    def __init__(
        self, places: int = PLACES, process_of: Callable[[str], LiveProcess] | None = None
    ) -> None:
        self._places = places
        self._process_of = process_of or _process
        self._tended: dict[str, _Tended] = {}
        self._ending: dict[str, LiveProcess] = {}

    def __contains__(self, name: str) -> bool:
        """Whether a workspace has a process, or has had one that could not begin."""
        return name in self._tended

    def works(self, name: str) -> bool:
        """Whether the process of a workspace is there."""
        return name in self._tended and self._tended[name].process.is_running

    def tend(self, name: str) -> Heard | None:
        """Return what the process of a workspace reported; None where there is no place for one."""
        now = time.monotonic()
        tended = self._tended.get(name)
        if tended is None:
            if name in self._ending or self.taken >= self._places:
                return None
            tended = self._tended[name] = _Tended(self._process_of(name), now)
        heard = tended.process.tend()
        if any(one.passes or one.broken or one.backlog for one in heard.reports):
            tended.idle_since, tended.seen = now, None
        return heard

    @property
    def taken(self) -> int:
        """How many processes there are."""
        self._ending = {name: one for name, one in self._ending.items() if one.is_running}
        running = sum(one.process.is_running for one in self._tended.values())
        return running + len(self._ending)

    def idle(self) -> Iterator[str]:
        """Yield the workspaces whose process has nothing to do: it may give way."""
        now = time.monotonic()
        for name, tended in self._tended.items():
            if tended.process.is_running and now - tended.idle_since >= _GIVES_WAY:
                yield name

    def is_done(self, name: str, seen: str, *, is_place_wanted: bool) -> bool:
        """Note what an idle process's files look like; end it if it has seen them, and it is time.

        Args:
            name: of the workspace.
            seen: a digest of its files.
            is_place_wanted: another workspace waits for a place.
        """
        now, tended = time.monotonic(), self._tended[name]
        if tended.seen != seen:
            tended.seen, tended.seen_at = seen, now
        is_time = is_place_wanted or now - tended.idle_since >= _IDLE
        if not is_time or now - tended.seen_at < _SEEN:
            return False
        self._end(name)
        return True

    def keep_only(self, names: set[str]) -> None:
        """End the processes of other workspaces: those that are gone or mistaken by now."""
        for name in self._tended.keys() - names:
            self._end(name)

    def _end(self, name: str) -> None:
        process = self._tended.pop(name).process
        process.release()
        self._ending[name] = process


def _process(workspace: str) -> LiveProcess:
    return LiveProcess((str(own_program()), "live", "--reports", "--workspace", workspace))
