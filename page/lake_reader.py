"""Reading the lake for many viewers: open while questions wait, closed as soon as none does.

An open lake keeps the nightly maintenance from moving rows, so it is never held between requests:
whoever comes first opens it, those that come meanwhile share it, the last one closes it. Under a
steady stream of questions nobody would be the last, so after some seconds newcomers wait until it
was closed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeVar

import duckdb

from page.errors import TooSlow
from warehouse.errors import WarehouseError
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain
from warehouse.reports import guard
from warehouse.settings.environment import Settings

T = TypeVar("T")

#: Statements at the same time; one that is slow leaves room for others.
AT_ONCE = 4
#: Seconds that a statement may take.
LONGEST = 30.0
_MEMORY = "600MB"
_THREADS = 2
_OLDEST = 10.0  # seconds until an open lake takes no newcomers
_PATIENCE = 2.0  # seconds that newcomers wait for an old one to be closed
_GAP = 0.3  # seconds in which maintenance, which looks every tenth of one, gets its turn
_PATH = "SET search_path = 'wh.marts,wh.core,wh.ops,wh.raw,memory.main'"
_SNAPSHOT = "FROM ducklake_current_snapshot('wh')"


class _Lease:
    """An open lake with its connections."""

    def __init__(self, settings: Settings) -> None:
        self.lake, self.idle = _open(settings)
        self.users = 0
        self._opened_at = monotonic()

    @property
    def is_old(self) -> bool:
        return monotonic() - self._opened_at > _OLDEST

    def close(self) -> None:
        for connection in self.idle:
            connection.close()
        self.lake.close()


class LakeReader:
    """Runs work on one snapshot of the lake, in the thread that calls.

    Args:
        settings: where the lake is.
        longest: seconds until work is interrupted.
    """

    def __init__(self, settings: Settings, longest: float = LONGEST) -> None:
        self._settings = settings
        self._longest = longest
        self._changed = threading.Condition()
        self._lease: _Lease | None = None
        self._is_busy = False  # a thread opens or closes the lake
        self._open = 0

    @property
    def is_open(self) -> bool:
        """Whether the lake is open at this moment."""
        return self._open > 0

    def read(self, work: Callable[[duckdb.DuckDBPyConnection, int], T]) -> T:
        """Return what `work` returns, given a connection inside a transaction, and its snapshot.

        Raises:
            TooSlow: it took too long.
            HomeError: the lake cannot be opened.
            WarehouseError: DuckDB refused a statement.
        """
        with self._connection() as connection:
            expired = threading.Event()

            def interrupt() -> None:
                expired.set()
                connection.interrupt()

            timer = threading.Timer(self._longest, interrupt)
            timer.daemon = True
            timer.start()
            try:
                connection.execute("BEGIN")
                found = connection.execute(_SNAPSHOT).fetchone()
                return work(connection, int(found[0]) if found else 0)
            except duckdb.Error as error:
                if expired.is_set():
                    raise TooSlow(f"no answer within {self._longest:.0f} seconds") from None
                raise WarehouseError(f"the warehouse cannot be read: {explain(error)}") from None
            finally:
                timer.cancel()
                timer.join()  # or it might interrupt whoever has the connection next
                _roll_back(connection)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        lease = self._join()
        with self._changed:
            connection = lease.idle.pop()
        try:
            yield connection
        finally:
            self._leave(lease, connection)

    def _join(self) -> _Lease:
        """Return a lease with a connection to spare, of which the caller is a user from now on."""
        patience = None
        with self._changed:
            while True:
                lease = self._lease
                if not self._is_busy and lease is None:
                    break
                if not self._is_busy and lease is not None and lease.is_old:
                    patience = patience or monotonic() + _PATIENCE
                    if monotonic() >= patience:
                        break  # something slow runs there: it closes when that is done
                elif not self._is_busy and lease is not None and lease.users < AT_ONCE:
                    lease.users += 1
                    return lease
                self._changed.wait(0.2)
            self._is_busy = True
        lease = None
        try:
            lease = _Lease(self._settings)
            lease.users = 1
        finally:
            with self._changed:
                self._lease, self._is_busy = lease, False
                self._open += lease is not None
                self._changed.notify_all()
        return lease

    def _leave(self, lease: _Lease, connection: duckdb.DuckDBPyConnection) -> None:
        with self._changed:
            lease.idle.append(connection)
            lease.users -= 1
            is_last, is_current = lease.users == 0, lease is self._lease
            if is_last and is_current:
                self._lease, self._is_busy = None, True
            self._changed.notify_all()
        if not is_last:
            return
        try:
            lease.close()
            if lease.is_old:
                sleep(_GAP)
        finally:
            with self._changed:
                self._open -= 1
                if is_current:
                    self._is_busy = False
                self._changed.notify_all()


def _open(settings: Settings) -> tuple[Lake, list[duckdb.DuckDBPyConnection]]:
    """Open the lake and shut it against everything but reading its own files."""
    lake = Lake(settings, read_only=True, threads=_THREADS)
    try:
        connections = [lake.reader() for _ in range(AT_ONCE)]
        schema.require_current(connections[0], settings.home)
        for connection in connections:
            connection.execute(_PATH)
            connection.execute("SET python_enable_replacements = false")
        connections[0].execute(f"SET memory_limit = '{_MEMORY}'")
        guard.shut(connections[0], lake.catalog)
    except BaseException:
        lake.close()
        raise
    return lake, connections


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        # An interrupted transaction has been rolled back already.
        connection.execute("SELECT 1").fetchall()
