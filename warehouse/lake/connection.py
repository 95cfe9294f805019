"""The DuckLake: how it is opened, read and written, by the rules of docs/architecture.md.

One process writes at a time, by a lock of the catalog held from before BEGIN through COMMIT;
readers wait only, for a moment at night, for maintenance. Whatever fails inside a transaction rolls
all of it back.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from weakref import WeakSet

import duckdb

from hatif.errors import HatifError, HomeError
from warehouse.errors import NoWarehouse, StoreUnavailable
from warehouse.lake import closing, isolation, memory, opening, ownership, staging
from warehouse.lake.catalog import Catalog, copied, needs_copy
from warehouse.lake.commits import Commits, keeping_files, take_back_broken
from warehouse.lake.explain import explanation
from warehouse.lake.home import make_home
from warehouse.lake.locks import READERS, WRITE
from warehouse.lake.staging import NotJoined
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

T = TypeVar("T")

#: DuckDB's memory limit where nothing else is stated.
MEMORY = "140MB"
_log = logging.getLogger(__name__)
_SILENT_WAIT = 2.0  # seconds of waiting for the write lock that are not worth a line
_TRIES = 8


def require_warehouse(settings: Settings) -> None:
    """See that the home has a warehouse, for commands that must not make one.

    Raises:
        NoWarehouse: nothing was ever synced into it.
        HomeError: its catalog is lost.
    """
    _require_present(Catalog.of(settings), settings.home)


def _require_present(catalog: Catalog, home: Path) -> None:
    ownership.require_catalog(catalog)
    if catalog.is_missing():
        raise NoWarehouse(f"there is no warehouse in {home} yet; run: hatif sync --full")


class Lake:
    """An open lake; use as a context manager.

    Args:
        settings: where it lies.
        read_only: attach for reading; the lake must exist.
        holds: whether it keeps maintenance away as long as it is open. Whoever opens it without
            holds `READERS` shared while it is opened and during each transaction.
        memory: DuckDB's memory limit when writing; the process needs some 300 MB beside it.
        threads: DuckDB's threads; None is one for writing, all there are for reading. Typing a
            batch is short work beside a reader and a server that want a core too: with one, a sync
            was a fifth faster on two cores, and 40 MB smaller. Long work alone, such as a rebuild,
            is faster with more.
        inlined_rows: rows of a table that a transaction leaves in the catalog, until they are
            moved, instead of writing a file; None = DuckLake's default, 10.

    Raises:
        HomeError: it cannot be opened or made.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_only: bool = False,
        holds: bool = True,
        memory: str = MEMORY,
        threads: int | None = None,
        inlined_rows: int | None = None,
    ) -> None:
        self.home = settings.home
        self._read_only = read_only
        self._inlined_rows = inlined_rows
        #: Catalog, files and locks.
        self.store = Store.of(settings)
        catalog = self.store.catalog
        # The many small questions to the catalog take half the time with one thread.
        self._config: dict[str, str | bool | int | float | list[str]] = {"threads": 1}
        if not read_only:
            self._config["memory_limit"] = memory
        self._config |= catalog.config
        self._threads = threads
        self._resources = ExitStack()
        self._resources.callback(self.store.locks.close)
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._readers: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()
        self._closed = False
        self._is_joined = False
        try:
            self._prepare(catalog, holds=holds)
            self._connection = self._connected()
            self._resources.callback(lambda: closing.close(self._connection))
            self._mend()
        except (duckdb.Error, OSError) as error:
            self.close()
            raise self._not_opened(error) from None
        except BaseException:
            self.close()
            raise

    def _not_opened(self, error: duckdb.Error | OSError) -> HatifError:
        found = explanation(error)
        kind = StoreUnavailable if found.passes else HomeError
        return kind(f"cannot open the catalog {self.catalog.name}: {found.text}")

    def _connected(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of a DuckDB instance of its own, to which the lake is attached."""
        with ExitStack() as undone:
            connection = duckdb.connect(config=self._config)
            undone.callback(closing.close, connection)
            self._open(connection)
            self._set_threads(connection)
            undone.pop_all()
        return connection

    def reopen(self) -> None:
        """Open the lake anew, while no other thread uses it; what is temporary is gone then.

        DuckLake caches statistics of each snapshot it has read, some 120 KB a transaction, and
        DuckDB evicts these last, not before nothing else fits into its memory (1.5.5).

        Raises:
            HomeError: it cannot be opened; it stays as it was.
        """
        try:
            connection = self._connected()
        except (duckdb.Error, OSError) as error:
            raise self._not_opened(error) from None
        before, self._connection = self._connection, connection
        self._idle.clear()
        for reader in list(self._readers):
            closing.close(reader)
        closing.close(before)

    def _prepare(self, catalog: Catalog, *, holds: bool) -> None:
        """See that there is what can be opened, and make the home where it may be made."""
        if not self._read_only:
            make_home(self.home)
            ownership.require_catalog(catalog)
            return
        _require_present(catalog, self.home)
        # What maintenance moves out of the catalog would silently be missing from an open snapshot.
        release = self.store.locks.share(READERS) if holds else None
        if release is not None:
            self._resources.callback(release)

    def _open(self, connection: duckdb.DuckDBPyConnection) -> None:
        catalog = self.catalog
        copy = self._copy(catalog) if self._read_only else None
        spilled = self.home / "tmp" if copy is None else copy.parent / "tmp"
        opening.prepare(connection, spilled, read_only=self._read_only)
        opening.attach(
            connection,
            catalog,
            read_only=self._read_only,
            copy=copy,
            inlined_rows=self._inlined_rows,
        )

    def _mend(self) -> None:
        """Take back what a process left that lost its connection in a commit, and was killed."""
        if self._read_only or self.catalog.file is not None:
            return
        with self.store.locks.exclusive(WRITE, "open the catalog"):
            if take_back_broken(self.catalog):
                _log.warning("a commit that had lost its files was taken back")

    def _set_threads(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self._threads is not None:
            connection.execute(f"SET threads = {self._threads}")
        elif self._read_only:
            connection.execute("RESET threads")

    def _copy(self, catalog: Catalog) -> Path | None:
        """Return a copy of the catalog where it cannot be read in its place, else None."""
        if catalog.file is None or not needs_copy(catalog):
            return None
        folder = self._resources.enter_context(copied(catalog.file))
        return Path(folder) / catalog.file.name

    @property
    def catalog(self) -> Catalog:
        """Where the catalog and the files are."""
        return self.store.catalog

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lake."""
        self._closed = True
        self._idle.clear()
        for reader in list(self._readers):
            closing.close(reader)
        self._resources.close()

    def reader(self) -> duckdb.DuckDBPyConnection:
        """Return another connection to the open lake, for one thread; it closes with the lake."""
        cursor = self._connection.cursor()
        self._readers.add(cursor)
        cursor.execute(opening.PATH)
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    @contextmanager
    def scratch(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection for temporary tables of long work.

        Inside one transaction no memory of a temporary table is free before its end, whether it is
        replaced, dropped or emptied (DuckDB 1.5.5); here each statement is a transaction. It reads
        the lake as it was committed last.
        """
        connection = self.reader()
        try:
            yield connection
        finally:
            closing.close(connection)

    @property
    def is_invalid(self) -> bool:
        """Whether DuckDB met a fault of its own, and refuses all that is tried on this lake."""
        cursor = self._connection.cursor()
        found = closing.is_invalid(cursor)
        closing.close(cursor)
        return found

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection for reading; a transaction of its own for each statement.

        It is lent again: leave no temporary table, registered relation or setting on it.
        Inside `joined` it is the connection of that transaction, which shows what it wrote.
        """
        if self._is_joined:
            try:
                yield self._connection
            except duckdb.Error as error:
                raise NotJoined from error
            return
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.reader()
        try:
            yield connection
        except BaseException:
            closing.close(connection)  # who knows what it was left with
            raise
        # A result not read to its end keeps its transaction open, and SQLite's log from ending.
        if self._closed or not self._is_rolled_back(connection):
            closing.close(connection)
        else:
            self._idle.append(connection)

    def _is_rolled_back(self, connection: duckdb.DuckDBPyConnection) -> bool:
        try:
            connection.rollback()
        except duckdb.TransactionException:
            return True  # there was no transaction
        except duckdb.Error:
            if self.catalog.file is not None:
                raise
            return False  # the server is gone: what was read until then is right
        return True

    @contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection whose statements all read one snapshot; for several, cheaper, too."""
        with self.reading() as connection:
            if not self._is_joined:
                connection.execute("BEGIN")  # the end of `reading` rolls it back
            yield connection

    def write(
        self,
        purpose: str,
        work: Callable[[duckdb.DuckDBPyConnection], T],
        *,
        moves_rows: bool = False,
    ) -> T:
        """Run `work` in one transaction under the write lock and return what it returns.

        `work` may be run again when the commit conflicts with another writer's, or with more memory
        where that lacked, so it must not change anything but the lake and what it returns.

        Args:
            purpose: for those who wait, and for messages.
            work: given a connection inside the transaction.
            moves_rows: it moves rows between catalog and files; nothing else reads meanwhile.

        Raises:
            ValueRefused: DuckDB refused a value; see `warehouse.lake.isolation`.
            MemoryShort: more memory did not suffice either; smaller parts may need less.
            WarehouseError: DuckDB refused; nothing was kept.
        """
        if self._is_joined:
            try:
                return work(self._connection)
            except Exception as error:
                # What it had written before is in the transaction: all of that is to be undone.
                raise NotJoined from error
        commits = Commits(self.catalog)
        for attempt in range(_TRIES):
            try:
                lock = self.store.locks.exclusive(
                    WRITE, purpose, waiting=_announce, patience=_SILENT_WAIT
                )
                with lock, self._transaction(commits, purpose, moves_rows=moves_rows):
                    result = work(self._connection)
            except duckdb.Error as error:
                again = isolation.may_pass(error)
                if isolation.lacks_memory(error):
                    again = memory.enlarge(self._connection, self.catalog.size)
                    if again:
                        _log.warning("%s: begun again with more memory", purpose)
                if not again or attempt + 1 == _TRIES:
                    raise isolation.error_for(purpose, error) from None
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
            else:
                return result
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def joined(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Make all that is written meanwhile one transaction: it is kept as a whole, or not at all.

        It yields its connection, which `write` and `reading` lend, too. Marks and values of the
        home are kept in memory until it ends (`warehouse.lake.staging`). Nothing is tried again:
        after a failure the work is to be done in transactions of its own, which set aside what is
        refused.

        Args:
            purpose: for those who wait for the write lock.

        Raises:
            NotJoined: something failed, or there are too many marks; nothing was kept.
            duckdb.Error: the commit was refused; nothing was kept.
        """
        lock = self.store.locks.exclusive(WRITE, purpose, waiting=_announce, patience=_SILENT_WAIT)
        transaction = self._transaction(Commits(self.catalog), purpose, moves_rows=False)
        with lock, transaction, staging.staged(self._connection):
            self._is_joined = True
            try:
                yield self._connection
            finally:
                self._is_joined = False

    def require_own_transactions(self) -> None:
        """See that no transaction is joined.

        Raises:
            NotJoined: one is, and the caller's work is too long for it, or needs other locks.
        """
        if self._is_joined:
            raise NotJoined

    @contextmanager
    def _transaction(self, commits: Commits, purpose: str, *, moves_rows: bool) -> Iterator[None]:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            commits.mark(connection, purpose)
            yield
            self.store.locks.require()
        except BaseException:
            # Never COMMIT after an error: DuckLake reports success and saves nothing.
            self._roll_back()
            raise
        keeping = keeping_files(connection, self.catalog) if moves_rows else nullcontext()
        try:
            with keeping:
                connection.execute("COMMIT")
        except duckdb.Error:
            if not commits.is_made():
                raise

    def _roll_back(self) -> None:
        with suppress(duckdb.Error) if self.catalog.file is None else nullcontext():
            self._connection.execute("ROLLBACK")  # of a connection that broke nothing is left


def _announce(holder: str) -> None:
    """Report a long wait for the write lock; without handlers it goes to standard error."""
    _log.warning("waiting for %s", holder)
