"""How fast requests may be sent: the request budget, required waits, and the requests in flight.

The service allows 120 requests a minute for the whole workspace, shared with the senders that
earn money, so our share is a promise: no window of 60 s ever holds more requests than allowed,
retries and token requests included, across all tasks and across runs that follow each other. Runs
share two small files of the home: the instants of the latest requests (`Journal`), and a long
``Retry-After`` (`PauseFile`), which can be hours away: forgotten, every run would begin with the
very request that is not wanted.
"""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import anyio
import msgspec

from hatif.errors import HomeError, RequestLimitReached

#: Seconds: a shorter wait is over before another run begins.
WORTH_KEEPING = 60.0
#: Seconds for which a wait is honoured, however long the service requires.
LONGEST_WAIT = 86_400.0


class Pause(Protocol):
    """Where the latest wait required is kept, for runs to share."""

    def remaining(self) -> float:
        """Return the seconds that are left of it, 0 where none are."""

    def keep(self, seconds: float) -> None:
        """Keep a wait that begins now."""


class RequestLog(Protocol):
    """Where the instants of the latest requests are kept, for the next run to know them."""

    def recent(self, now: float) -> list[float]:
        """Return the instants of the last minute, in seconds of the clock of `now`; oldest first.

        Raises:
            HomeError: they cannot be read.
        """

    def restart(self, instants: list[float]) -> None:
        """Forget all but these instants."""

    def append(self, instant: float) -> None:
        """Note one request, before it is sent.

        Raises:
            HomeError: it cannot be noted, so it must not be sent.
        """


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


_WINDOW = 60.0
# The service counts when a request arrives, we when it leaves: keep a little apart.
_MARGIN = 0.5
_SLOT = struct.Struct("<d")
_MOST_SLOTS = 10_000  # what HATIF_REQUESTS_PER_MINUTE allows: an earlier run may have had more


class Journal:
    """The instants of the latest requests, in a small ring file, so that the next run knows them.

    Instants are of the machine's monotonic clock, which all processes share until a reboot; those
    from before a reboot lie in the future or long ago and are ignored.

    Args:
        path: of the file, made where there is none.
        slots: how many instants it holds.

    Raises:
        HomeError: the file cannot be used; likewise whatever reads or writes it later.
    """

    def __init__(self, path: Path, slots: int) -> None:
        self._path = path
        with self._named():
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._slots = slots
        self._next = 0

    def recent(self, now: float) -> list[float]:
        """Return the instants of the last minute, oldest first."""
        with self._named():
            data = os.pread(self._fd, _SLOT.size * max(self._slots, _MOST_SLOTS), 0)
        data = data[: len(data) - len(data) % _SLOT.size]
        return sorted(t for (t,) in _SLOT.iter_unpack(data) if now - _WINDOW - _MARGIN < t <= now)

    def restart(self, instants: list[float]) -> None:
        """Write the ring anew with these instants."""
        data = b"".join(_SLOT.pack(t) for t in instants)
        with self._named():
            os.pwrite(self._fd, data, 0)  # then cut: killed in between, nothing is forgotten
            os.ftruncate(self._fd, len(data))
        self._next = len(instants) % self._slots

    def append(self, instant: float) -> None:
        """Note one request."""
        with self._named():
            os.pwrite(self._fd, _SLOT.pack(instant), self._next * _SLOT.size)
        self._next = (self._next + 1) % self._slots

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HomeError(
                f"cannot use {self._path}, where requests are counted: {error.strerror}. Without "
                "it no request is sent; check the home's permissions and free disk space"
            ) from None


class Budget:
    """Grants requests: at most `per_minute` in any 60 s (0 = no limit), `at_most` in all.

    Args:
        per_minute: our share of the service's limit.
        at_most: requests this run may make, None for any number.
        journal: where the grants are noted for the next run.
        pause_file: where a long wait that the service requires is kept for the next run.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        at_most: int | None = None,
        journal: RequestLog | None = None,
        pause_file: Pause | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_minute = per_minute
        self.used = 0
        self._at_most = at_most
        self._clock = clock
        self._journal = journal if per_minute else None
        self._grants: deque[float] = deque(maxlen=per_minute or 1)
        self._pause_file = pause_file
        self._paused_until = clock() + pause_file.remaining() if pause_file else float("-inf")
        if self._journal is not None:
            recent = self._journal.recent(clock())[-per_minute:]
            self._grants.extend(recent)
            self._journal.restart(recent)

    async def acquire(self) -> None:
        """Wait until one more request may leave.

        Raises:
            RequestLimitReached: the run's own allowance is used up.
        """
        while True:
            if self._at_most is not None and self.used >= self._at_most:
                raise RequestLimitReached(
                    f"stopped cleanly after {self.used} requests, the limit of --max-requests"
                )
            now = self._clock()
            wait = max(self._paused_until - now, self._until_window_has_room(now))
            if wait <= 0:
                break
            await anyio.sleep(wait)
        self.used += 1
        if self.per_minute:
            self._grants.append(now)
        if self._journal is not None:
            self._journal.append(now)

    def pause(self, seconds: float) -> None:
        """Hold all requests for so long, as the service requires (Retry-After)."""
        until = self._clock() + seconds
        if until > self._paused_until:
            self._paused_until = until
            if self._pause_file is not None and seconds > WORTH_KEEPING:
                self._pause_file.keep(seconds)

    @property
    def paused_for(self) -> float:
        """Seconds until the next request may be sent, 0 if none is held."""
        return max(0.0, self._paused_until - self._clock())

    def _until_window_has_room(self, now: float) -> float:
        if not self.per_minute or len(self._grants) < self.per_minute:
            return 0.0
        return self._grants[0] + _WINDOW + _MARGIN - now


class Concurrency:
    """The number of requests in flight: one more after each round of good answers, half on trouble.

    Trouble is 429, 503, a timeout, or latency that has trebled since the run began.
    """

    _SLOW = 0.5  # seconds below which rising latency does not mean a burdened service

    def __init__(self, ceiling: int) -> None:
        self.limiter = anyio.CapacityLimiter(min(4, ceiling))
        self._ceiling = ceiling
        self._good = 0
        self._usual: float | None = None
        self._latest = 0.0

    def succeeded(self, seconds: float) -> None:
        """Note a good answer and how long it took."""
        self._latest = seconds if self._usual is None else 0.8 * self._latest + 0.2 * seconds
        self._usual = seconds if self._usual is None else min(self._usual, self._latest)
        if self._latest > self._SLOW and self._latest > 3 * self._usual:
            self._latest = self._usual
            self.pushed_back()
            return
        self._good += 1
        if self._good >= self.limiter.total_tokens and self.limiter.total_tokens < self._ceiling:
            self.limiter.total_tokens += 1
            self._good = 0

    def pushed_back(self) -> None:
        """Halve what is in flight."""
        self.limiter.total_tokens = max(1, int(self.limiter.total_tokens) // 2)
        self._good = 0
