"""The DuckLake: how it is opened, read and written, by the rules of docs/architecture.md.

One process writes at a time, by a lock of the operating system held from before BEGIN through
COMMIT; readers wait for nobody but, for a moment at night, maintenance. Whatever fails inside a
transaction rolls all of it back.
"""

from __future__ import annotations

import importlib.resources
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import duckdb

from hatif.errors import HomeError
from warehouse.errors import NoWarehouse
from warehouse.lake import functions, isolation
from warehouse.lake.locks import exclusive, share
from warehouse.lake.sql import literal
from warehouse.models import model
from warehouse.settings.environment import Settings

T = TypeVar("T")

#: Shared by whoever has the lake open for reading; see `warehouse.maintenance`.
READERS = "readers.lock"
_TRIES = 8
_OPENINGS = 5
# Tables are named with their schema; our SQL functions live in memory.main.
_PATH = "SET search_path = 'wh.main,memory.main'"
_CATALOGS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
#: Extensions from PyPI whose signature DuckDB has checked in this process. That takes a tenth of a
#: second each, on two cores: once is enough.
_CHECKED: set[str] = set()


class Lake:
    """An open lake; use as a context manager.

    Args:
        settings: where it lies.
        read_only: attach for reading; the lake must exist.
        memory: DuckDB's memory limit when writing; the process needs some 300 MB beside it.
        threads: DuckDB's threads; None is one for writing, all there are for reading. Typing a
            batch is short work beside a reader and a server that want a core too: with one, a sync
            was a fifth faster on two cores, and 40 MB smaller. Long work alone, such as a rebuild,
            is faster with more.

    Raises:
        HomeError: it cannot be opened or made.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_only: bool = False,
        memory: str = "140MB",
        threads: int | None = None,
    ) -> None:
        self.home = settings.home
        self._read_only = read_only
        if not read_only:
            make_home(settings.home)
        kind, _, place = settings.catalog_dsn.partition(":")
        if kind not in _CATALOGS or not place:
            raise HomeError(
                f"HATIF_CATALOG must begin with {' or '.join(f'{k}:' for k in _CATALOGS)}"
            )
        if read_only and kind == "sqlite" and not Path(place).exists():
            raise NoWarehouse(
                f"there is no warehouse in {settings.home} yet; run: hatif sync --full"
            )
        config: dict[str, str | bool | int | float | list[str]] = {}
        if not read_only:
            config = {"memory_limit": memory, "threads": threads or 1}
        elif threads is not None:
            config = {"threads": threads}
        if {_CATALOGS[kind], "ducklake"} <= _CHECKED:
            config["allow_unsigned_extensions"] = True
        # What maintenance moves out of the catalog would silently be missing from an open snapshot.
        self._shared = share(settings.home / READERS) if read_only else None
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._closed = False
        self._connection = duckdb.connect(config=config)
        for attempt in range(_OPENINGS):
            try:
                self._open(kind, place, settings)
            except duckdb.Error as error:
                # Another process may be making the catalog, or mending it after a crash.
                if attempt + 1 < _OPENINGS:
                    time.sleep(0.1 * 2**attempt)
                    continue
                self.close()
                raise HomeError(
                    f"cannot open the catalog {_named(kind, place)} ({type(error).__name__}); "
                    "check the path, its permissions and free disk space"
                ) from None
            return

    def _open(self, kind: str, place: str, settings: Settings) -> None:
        connection = self._connection
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {literal(str(settings.home / 'tmp'))}")
        for extension in (_CATALOGS[kind], "ducklake"):
            _load(connection, extension)
        options = [f"DATA_PATH {literal(settings.lake_path)}"]
        if kind == "sqlite":
            options.append("META_JOURNAL_MODE 'WAL'")
        if self._read_only:
            options = ["READ_ONLY"]
        target = literal(f"ducklake:{kind}:{place}")
        connection.execute(f"ATTACH {target} AS wh ({', '.join(options)})")
        connection.execute(model.macros())
        functions.register(connection)
        connection.execute(_PATH)

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
        while self._idle:
            self._idle.pop().close()
        self._connection.close()
        if self._shared is not None:
            os.close(self._shared)
            self._shared = None

    def reader(self) -> duckdb.DuckDBPyConnection:
        """Return another connection to the open lake, for one thread; close it after use."""
        cursor = self._connection.cursor()
        cursor.execute(_PATH)
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection for reading; a transaction of its own for each statement.

        It is lent again: leave no temporary table, registered relation or setting on it.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.reader()
        try:
            yield connection
        except BaseException:
            connection.close()  # who knows what it was left with
            raise
        if self._closed:
            connection.close()
            return
        # A result not read to its end keeps its transaction open, and SQLite's log from ending.
        with suppress(duckdb.TransactionException):
            connection.rollback()
        self._idle.append(connection)

    def write(self, purpose: str, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run `work` in one transaction under the write lock and return what it returns.

        `work` may be run again when the commit conflicts with another writer's, so it must not
        change anything but the lake and what it returns.

        Raises:
            ValueRefused: DuckDB refused a value; see `warehouse.lake.isolation`.
            WarehouseError: DuckDB refused; nothing was kept.
        """
        for attempt in range(_TRIES):
            try:
                with exclusive(self.home / "write.lock", purpose), self._transaction():
                    result = work(self._connection)
            except duckdb.Error as error:
                conflict = isinstance(error, duckdb.TransactionException) or "locked" in str(error)
                if not conflict or attempt + 1 == _TRIES:
                    raise isolation.error_for(purpose, error) from None
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
            else:
                return result
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            # Never COMMIT after an error: DuckLake reports success and saves nothing.
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _named(kind: str, place: str) -> str:
    """A catalog for a message: of a database only the kind, since the rest can hold a password."""
    return place if kind == "sqlite" else f"({kind}) that HATIF_CATALOG names"


def make_home(home: Path) -> None:
    """Make the home if need be, for this user alone, and try whether it can be written.

    Raises:
        HomeError: it cannot.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HomeError(f"HATIF_HOME: cannot write to {home}: {error.strerror}") from None


def _load(connection: duckdb.DuckDBPyConnection, extension: str) -> None:
    """Load an extension from its PyPI package; from DuckDB's own store where there is none."""
    try:
        package = importlib.resources.files(f"duckdb_extension_{extension}")
    except ModuleNotFoundError:
        connection.install_extension(extension)
        connection.load_extension(extension)
        return
    version = f"v{duckdb.__version__}"
    file = package / "extensions" / version / f"{extension}.duckdb_extension"
    connection.execute(f"LOAD {literal(str(file))}")
    _CHECKED.add(extension)
