"""Files that a receiver writes: lines are on disk before their request is answered.

Each process writes segments of its own, ``open-….ndjson`` while it grows, renamed to its final name
after a minute. Both names are read by the pipeline, so what a killed process leaves behind is read
like everything else. Lines of several requests share one fsync.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

#: Seconds a segment stays open.
ROTATION = 60.0
_OPEN = "open-"
_TRIES = 3


class Segment:
    """One growing file. Blocking; not for two threads at once.

    Args:
        directory: made if need be.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        self._final = directory / f"{stamp}-{os.getpid()}-{secrets.token_hex(4)}.ndjson"
        self._path = self._final.with_name(_OPEN + self._final.name)
        self._size = 0
        self.began = time.monotonic()
        make_private(directory)
        # Not under its name before there is something in it: an empty file is no segment.
        self._unborn: Path | None = self._path.with_suffix(".new")
        self._fd = os.open(self._unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def append(self, lines: bytes) -> None:
        """Write whole lines; they are on disk when this returns.

        Raises:
            OSError: the disk fails. The file ends where it did before, as far as the disk lets
                us; it must not be appended to again.
        """
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
            if self._unborn is not None:
                self._unborn.rename(self._path)
                self._unborn = None
                _sync_directory(self._path.parent)
        except OSError:
            with suppress(OSError):  # half a line at the end of a file is left unread anyway
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(lines)

    def is_in_place(self) -> bool:
        """Return whether the file still has its name, so that what was written will be found."""
        try:
            there = os.lstat(self._path)
        except OSError:
            return False
        ours = os.fstat(self._fd)
        return ours.st_nlink > 0 and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def finish(self) -> None:
        """Close the file and give it its final name.

        Raises:
            OSError: it keeps the name it has, under which it is read too.
        """
        os.close(self._fd)
        if self._unborn is not None:
            self._unborn.unlink()
        else:
            self._path.rename(self._final)
            _sync_directory(self._final.parent)


class Journal:
    """Lines from many requests, written in the order they come, several to an fsync.

    Args:
        directory: for the segments.
        rotation: seconds until a segment is closed.

    Use as an asynchronous context manager.
    """

    def __init__(self, directory: Path, rotation: float = ROTATION) -> None:
        self._directory = directory
        self._rotation = rotation
        self._segment: Segment | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._something = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Journal:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        self._something.set()
        if self._task is not None:
            await self._task

    async def write(self, line: bytes) -> None:
        """Write a line; return when it is on disk.

        Raises:
            OSError: the disk fails; nothing of it is promised to be there.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        self._something.set()
        await done

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), self._left())
            self._something.clear()
            batch, self._waiting = self._waiting, []
            error = await _in_thread(self._commit, [line for line, _ in batch])
            for _, done in batch:
                if done.done():
                    continue  # its request is gone
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(OSError(error.errno, error.strerror))
        await _in_thread(self._finish)

    def _left(self) -> float | None:
        """Seconds until the segment is due to be closed."""
        if self._segment is None:
            return None
        return max(0.0, self._segment.began + self._rotation - time.monotonic())

    def _commit(self, lines: Sequence[bytes]) -> OSError | None:
        try:
            if self._segment is not None and self._left() == 0:
                self._finish()
            if lines:
                self._append(b"".join(lines))
        except (OSError, MemoryError) as error:
            # What a failed fsync left in the file is unknown: never write behind it.
            self._finish()
            return _as_os_error(error)
        return None

    def _append(self, lines: bytes) -> None:
        """Write lines into a file that has its name afterwards: a folder can be taken away."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                self._segment = self._segment or Segment(self._directory)
                self._segment.append(lines)
                if self._segment.is_in_place():
                    return
            self._finish()
        raise FileNotFoundError(errno.ENOENT, "the folder is taken away again and again")

    def _finish(self) -> None:
        """Close the segment, if any."""
        segment, self._segment = self._segment, None
        if segment is not None:
            with suppress(OSError):  # it keeps its name, and is read all the same
                segment.finish()

    def probe(self) -> None:
        """Try whether the disk takes a file.

        Raises:
            OSError: it does not.
        """
        try_directory(self._directory)


def try_directory(directory: Path) -> None:
    """See that a directory takes a file; it is made if need be.

    Raises:
        OSError: it does not.
    """
    make_private(directory)
    path = directory / f".probe-{os.getpid()}"
    path.write_bytes(b"\n")
    path.unlink()


async def _in_thread(
    function: Callable[..., OSError | None], *arguments: Sequence[bytes]
) -> OSError | None:
    """Run a function beside the event loop; return its error, or that no thread can be had."""
    try:
        return await asyncio.to_thread(function, *arguments)
    except (RuntimeError, MemoryError) as error:  # the limit on processes or memory; it may pass
        return _as_os_error(error)


def _as_os_error(error: OSError | MemoryError | RuntimeError) -> OSError:
    """Return an error as what requests are answered with: the journal must go on."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, MemoryError):
        return OSError(errno.ENOMEM, "out of memory")
    return OSError(errno.EAGAIN, str(error))


def make_private(directory: Path) -> None:
    """Make a directory and what is missing above it, for this user alone.

    Raises:
        OSError: it cannot be made.
    """
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    directory.mkdir(exist_ok=True)  # a file in its place is an error


def _sync_directory(directory: Path) -> None:
    """Put names on disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
