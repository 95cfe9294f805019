"""Detection of processes that read the catalog at this moment: rows must not move then.

DuckLake 1.0 on DuckDB 1.5.5 reads rows that lie in the catalog outside the snapshot of an open
transaction (tried: after a flush such a reader counted 216 of 288 rows, without an error). So rows
are moved only while no transaction is open for reading. Our own commands share a lock
(`connection.READERS`). Any other program, such as the DuckDB command line, is seen by SQLite's own
locks: in WAL mode an open read transaction holds one of five bytes of the file ``…-shm``, a shared
lock that the system frees when the transaction or its process ends.

A catalog on a PostgreSQL server shows nothing of this kind: there only our own commands are seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: WAL_READ_LOCK(0) to (4) in SQLite's file of shared memory: published as part of its file format.
_FIRST, _COUNT = 123, 5
_SYSTEM_LOCKS = Path("/proc/locks")
# In another process: closing a file frees every lock that a process has on it, SQLite's too.
_TRY = f"""
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, {_COUNT}, {_FIRST})
    except OSError:
        sys.exit(9)
"""


def others_read(catalog: Path | None) -> bool:
    """Whether another process reads the catalog; this one must not meanwhile.

    Works for processes of any container or user that shares the file.
    """
    shared = _shared_memory(catalog)
    if shared is None:
        return False
    command = [sys.executable, "-I", "-S", "-c", _TRY, str(shared)]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 9  # noqa: S603


def others_read_beside_us(catalog: Path | None) -> bool:
    """Whether another process reads the catalog, from inside a transaction of this one.

    Where the system lists its locks; elsewhere False.
    """
    shared = _shared_memory(catalog)
    if shared is None or not _SYSTEM_LOCKS.exists():
        return False
    number = f":{shared.stat().st_ino}"
    for line in _SYSTEM_LOCKS.read_text().splitlines():
        fields = line.split()
        if len(fields) == 8 and fields[1] == "POSIX" and fields[5].endswith(number):
            first, last = int(fields[6]), fields[7]
            reads = first < _FIRST + _COUNT and (last == "EOF" or int(last) >= _FIRST)
            if reads and int(fields[4]) != os.getpid():
                return True
    return False


def _shared_memory(catalog: Path | None) -> Path | None:
    """Return the file that carries the locks; without it no process has the catalog open."""
    if catalog is None:
        return None
    file = catalog.with_name(f"{catalog.name}-shm")
    return file if file.exists() else None
