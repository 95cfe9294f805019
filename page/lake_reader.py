"""Reading the lake for many viewers, without keeping it from anyone between two questions.

Opening the lake takes longer than most questions, so it stays open between them, for as long as
its catalog stays as it is. What keeps the nightly maintenance from moving rows is never held
between requests: whoever comes first takes that lock, those that come meanwhile share it, the last
one lets it go. Under a steady stream of questions none would be the last, so after some seconds
newcomers wait until it was let go.

A lake that was open while rows were moved is opened anew: DuckLake remembers tables of the catalog
that maintenance then removes (tried: after a flush a statement fails, or would see less).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import TypeVar

import duckdb

from page.errors import TooSlow
from warehouse.errors import WarehouseError
from warehouse.lake import closing, schema
from warehouse.lake.catalog import Catalog
from warehouse.lake.catalog_state import CatalogWatch, State
from warehouse.lake.connection import Lake, require_warehouse
from warehouse.lake.explain import explain, store_refusal
from warehouse.lake.locks import READERS
from warehouse.lake.store import Store
from warehouse.reports import guard
from warehouse.settings.environment import Settings

T = TypeVar("T")

#: Statements at the same time; one that is slow leaves room for others.
AT_ONCE = 3
#: Seconds that a statement may take.
LONGEST = 30.0
_MEMORY = "600MB"
_THREADS = 1
_OLDEST = 10.0  # seconds until a lease takes no newcomers
_PATIENCE = 2.0  # seconds that newcomers wait for an old one to end
_GAP = 0.3  # seconds in which maintenance, which looks every tenth of one, gets its turn
_PATH = "SET search_path = 'wh.marts,wh.core,wh.ops,wh.raw,memory.main'"
_SNAPSHOT = "FROM ducklake_current_snapshot('wh')"


class _Opened:
    """A lake that is attached, with its connections.

    Attributes:
        state: of its catalog before it was opened.
        idle: connections that no thread uses.
        has_failed: DuckDB refused a statement on it: what it remembers may be at fault.
    """

    def __init__(self, settings: Settings, state: State | None) -> None:
        self.state = state
        self.has_failed = False
        self._lake, self.idle = _open(settings)

    def close(self) -> None:
        self.idle.clear()
        self._lake.close()


class _Lease:
    """The lock that keeps maintenance away, on a lake that is open."""

    def __init__(self, settings: Settings, watch: CatalogWatch, kept: _Opened | None) -> None:
        """Take it.

        Args:
            settings: where the lake is.
            watch: of its catalog.
            kept: a lake that is open already; it is closed where it is of no use any more.
        """
        self.users = 1
        self._since = monotonic()
        with ExitStack() as stack:
            if kept is None:
                require_warehouse(settings)
            else:
                stack.callback(kept.close)
            # In this order: once it is shared, nothing is moved that the state would not show.
            release = Store.of(settings).locks.share(READERS)
            if release is not None:
                stack.callback(release)
            state = watch.state()
            if kept is not None and (state is None or state != kept.state):
                kept.close()
                kept = None
            self.opened = kept or _Opened(settings, state)
            stack.pop_all()
        self._release = release

    @property
    def is_old(self) -> bool:
        return monotonic() - self._since > _OLDEST

    def release(self) -> None:
        if self._release is not None:
            self._release()


class LakeReader:
    """Runs work on one snapshot of the lake, in the thread that calls.

    Args:
        settings: where the lake is.
        longest: seconds until work is interrupted.
    """

    def __init__(self, settings: Settings, longest: float = LONGEST) -> None:
        self._settings = settings
        self._longest = longest
        self._watch = CatalogWatch(Catalog.of(settings))
        self._changed = threading.Condition()
        self._lease: _Lease | None = None
        self._kept: _Opened | None = None
        self._is_busy = False  # a thread takes or gives up a lease
        self._leases = 0

    @property
    def is_held(self) -> bool:
        """Whether maintenance is kept away at this moment."""
        return self._leases > 0

    def close(self) -> None:
        """Close what is open; the next question opens it again."""
        with self._changed:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
        self._watch.close()

    def state(self) -> State | None:
        """Return what differs after each commit; None where there is no warehouse yet.

        Raises:
            HomeError: the catalog's database cannot be reached, or refuses.
        """
        return self._watch.state()

    def read(self, work: Callable[[duckdb.DuckDBPyConnection, int], T]) -> T:
        """Return what `work` returns, given a connection inside a transaction, and its snapshot.

        Raises:
            TooSlow: it took too long.
            HomeError: the lake cannot be opened.
            WarehouseError: DuckDB refused a statement.
        """
        with self._lent() as (opened, connection):
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
                opened.has_failed = True
                raise store_refusal(error) or WarehouseError(
                    f"the warehouse cannot be read: {explain(error)}"
                ) from None
            finally:
                timer.cancel()
                timer.join()  # or it might interrupt whoever has the connection next
                opened.has_failed |= not _is_rolled_back(connection)

    @contextmanager
    def _lent(self) -> Iterator[tuple[_Opened, duckdb.DuckDBPyConnection]]:
        lease = self._join()
        with self._changed:
            connection = lease.opened.idle.pop()
        try:
            yield lease.opened, connection
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
                        break  # something slow runs there: it ends when that is done
                elif not self._is_busy and lease is not None and lease.users < AT_ONCE:
                    lease.users += 1
                    return lease
                self._changed.wait(0.2)
            self._is_busy = True
            kept, self._kept = self._kept, None
        lease = None
        try:
            lease = _Lease(self._settings, self._watch, kept)
        finally:
            with self._changed:
                self._lease, self._is_busy = lease, False
                self._leases += lease is not None
                self._changed.notify_all()
        return lease

    def _leave(self, lease: _Lease, connection: duckdb.DuckDBPyConnection) -> None:
        opened = lease.opened
        with self._changed:
            opened.idle.append(connection)
            lease.users -= 1
            is_last, is_current = lease.users == 0, lease is self._lease
            if is_last and is_current:
                self._lease, self._is_busy = None, True
            self._changed.notify_all()
        if not is_last:
            return
        is_kept = is_current and not opened.has_failed
        try:
            if not is_kept:
                opened.close()
            lease.release()
            if lease.is_old:
                sleep(_GAP)
        finally:
            with self._changed:
                self._leases -= 1
                if is_kept:
                    self._kept = opened
                if is_current:
                    self._is_busy = False
                self._changed.notify_all()


def _open(settings: Settings) -> tuple[Lake, list[duckdb.DuckDBPyConnection]]:
    """Open the lake, under a lease, and shut it against everything but reading its own files."""
    lake = Lake(settings, read_only=True, holds=False, threads=_THREADS)
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


def _is_rolled_back(connection: duckdb.DuckDBPyConnection) -> bool:
    """Roll back; return whether the connection can be used again."""
    try:
        connection.rollback()
    except duckdb.Error:
        # An interrupted transaction has been rolled back already, and one whose server is gone.
        return not closing.is_invalid(connection)
    return True
