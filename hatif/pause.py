"""A long `Retry-After`, kept in a small file of the home so that the next run keeps to it.

A ``Retry-After`` can be hours away, longer than a run waits; forgotten, every run would begin with
the very request that is not wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

#: Seconds: a shorter wait is over before another run begins.
WORTH_KEEPING = 60.0
#: Seconds for which a wait is honoured, however long the service requires.
LONGEST_WAIT = 86_400.0


class _Kept(msgspec.Struct):
    asked_at: float
    until: float


class PauseFile:
    """The latest wait required, in seconds of the wall clock, which runs share.

    A file that cannot be read or written costs no more than the memory of the wait. One dated in
    the future, as a clock that was set back leaves it, is not believed.

    Args:
        path: of the file; made when there is something to keep.
        clock: wall-clock seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def remaining(self) -> float:
        """Return the seconds that are left of it, 0 where none are."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return 0.0
        now = self._clock()
        if kept.asked_at > now:
            return 0.0
        return max(0.0, min(kept.until, kept.asked_at + LONGEST_WAIT) - now)

    def keep(self, seconds: float) -> None:
        """Keep a wait that begins now."""
        now = self._clock()
        half = self._path.with_suffix(".part")
        try:
            half.write_bytes(msgspec.json.encode(_Kept(now, now + seconds)))
            half.replace(self._path)
        except OSError:
            half.unlink(missing_ok=True)
