"""Locks between processes, which belong to a catalog.

Those of a catalog in a file are files beside it, held by the operating system: freed by the kernel
when a holder ends. Those of a catalog on a server: `warehouse.lake.database_locks`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from hatif.errors import Busy, HomeError

#: Held by whatever calls the service: it shares one request budget.
API = "api.lock"
#: Held from before BEGIN until after COMMIT.
WRITE = "write.lock"
#: Shared by all that have the lake open for reading; see `warehouse.lake.readers`.
READERS = "readers.lock"
#: Held by `hatif rebuild` from its first table to its last.
REBUILD = "rebuild.lock"
WEBHOOKS = "webhooks.lock"
#: Held by `hatif live` as long as it runs.
LIVE = "live.lock"
#: Every lock of a catalog, with what its holder does.
PURPOSES = {
    API: "calls the service",
    WRITE: "writes",
    READERS: "maintains",
    REBUILD: "rebuilds",
    WEBHOOKS: "reads webhook files",
    LIVE: "works off webhook files as they come",
}
_POLL = 0.05  # seconds
#: Opening a pipe in the place of a lock would not end.
_NO_WAIT = os.O_NONBLOCK
_REMOVE = ". Remove what is there, the next command makes the file"
_INSTANT = 0.2  # seconds: for so long no process holds a lock only to see whether it is free


class Locks(Protocol):
    """The locks of one catalog, by the names of `PURPOSES`."""

    def exclusive(
        self,
        name: str,
        purpose: str,
        *,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
        patience: float = 0.0,
    ) -> AbstractContextManager[None]:
        """Hold a lock alone; see `exclusive`."""

    def share(self, name: str) -> Callable[[], None] | None:
        """Hold a lock together with others who share it.

        Returns:
            What lets go of it; None where it can be neither opened nor made.
        """

    def holder(self, name: str) -> str | None:
        """Return who holds a lock alone; None if it is free, or shared."""

    def require(self) -> None:
        """See that every lock that this process holds alone is still its own; before a commit.

        Raises:
            ConnectionLost: one is not.
        """

    def close(self) -> None:
        """Let go of what is kept for the next lock."""


class FileLocks:
    """The locks of a catalog in a file.

    Args:
        folder: with the files of the locks.
        prefix: of their names, where others may have theirs in that folder, too.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self._folder = folder
        self._prefix = prefix

    def path(self, name: str) -> Path:
        """Return the file of a lock, or another small file that belongs to the catalog."""
        return self._folder / f"{self._prefix}{name}"

    def exclusive(
        self,
        name: str,
        purpose: str,
        *,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
        patience: float = 0.0,
    ) -> AbstractContextManager[None]:
        """Hold a lock alone; see `exclusive`."""
        path = self.path(name)
        return exclusive(path, purpose, wait=wait, waiting=waiting, patience=patience)

    def share(self, name: str) -> Callable[[], None] | None:
        """Hold a lock together with others who share it; return what lets go of it."""
        shared = share(self.path(name))
        return None if shared is None else partial(os.close, shared)

    def holder(self, name: str) -> str | None:
        """Return who holds a lock alone; None if it is free, or shared."""
        return holder(self.path(name))

    def require(self) -> None:
        """The kernel frees none while its process lives."""

    def close(self) -> None:
        """Nothing is kept."""


@contextmanager
def exclusive(
    path: Path,
    purpose: str,
    *,
    wait: bool = True,
    waiting: Callable[[str], None] | None = None,
    patience: float = 0.0,
) -> Iterator[None]:
    """Hold the lock at `path`.

    The file names its holder, for those who wait; its content after a crash means nothing.

    Args:
        path: the lock file, made if need be, never removed.
        purpose: what the holder does, shown to those who wait.
        wait: False = give up where another process goes on holding it; `holder`, which any process
            may call, holds it for an instant and counts for none.
        waiting: called once, with the holder waited for.
        patience: seconds to wait before `waiting` is called.

    Raises:
        Busy: another process holds it and `wait` is False.
        HomeError: the file cannot be opened, or is none.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _NO_WAIT, 0o600)
    except OSError as error:
        raise HomeError(f"cannot open {path}: {error.strerror}{_advice(path, error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise HomeError(f"{path} is no regular file{_REMOVE}")
        announced, began = False, time.monotonic()
        while not _try(fd, fcntl.LOCK_EX):
            if not wait and time.monotonic() - began >= _INSTANT:
                raise Busy(f"{path.name} is held by {_holder(fd)}")
            is_long = wait and time.monotonic() - began >= patience
            if waiting is not None and not announced and is_long:
                waiting(_holder(fd))
                announced = True
            time.sleep(_POLL)
        _sign(fd, purpose)
        yield
    finally:
        os.close(fd)


def share(path: Path) -> int | None:
    """Hold the lock at `path` together with others who share it, until the descriptor is closed.

    Returns:
        The descriptor; None where the file can be neither opened nor made.
    """
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            fd = os.open(path, flags | _NO_WAIT, 0o600)
        except OSError:
            continue
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd
    return None


def holder(path: Path) -> str | None:
    """Return who holds the lock at `path` alone; None if it is free, or shared."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if _try(fd, fcntl.LOCK_SH) else _holder(fd)
    finally:
        os.close(fd)


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(fd: int, purpose: str) -> None:
    note = {
        "pid": os.getpid(),
        "purpose": purpose,
        "program": Path(sys.argv[0]).name,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(note).encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A full disk: the lock holds without the name of its holder.


def _advice(path: Path, error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return ". It must be a file: remove the folder, the next command makes the file"
    if path.is_symlink() or error.errno == errno.ENXIO:  # a link to nowhere or itself; a socket
        return _REMOVE
    if isinstance(error, PermissionError):
        return ". Run it as the owner of the home, or give this user the home (chown -R)"
    return ""


def _holder(fd: int) -> str:
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        return (
            f"{note['purpose']} ({note['program']}, process {note['pid']}, since {note['since']})"
        )
    except (ValueError, KeyError, TypeError):
        return "another process"
