"""The DuckLake catalog: where it is, the extensions that read it, and how it is attached."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb

from hatif.errors import HomeError
from warehouse.lake.sql import literal
from warehouse.settings.environment import Settings

if TYPE_CHECKING:
    from warehouse.lake.bucket import Bucket
    from warehouse.lake.postgres import Database

#: Extension of DuckDB that reads each kind of catalog.
_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
_PACKAGE = "duckdb_extension_"
_COPIES = 5
_EXTRA = "hatif-warehouse[cluster]"
#: Name of DuckDB's secret with the password of the catalog's database.
_CREDENTIALS = "hatif_catalog"


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalog as ``HATIF_CATALOG`` names it.

    Attributes:
        kind: `sqlite` or `postgres`.
        place: a file, or a connection string, which can hold a password and is never shown.
        lake_path: absolute folder or address of the Parquet files; ends in no slash.
    """

    kind: str
    place: str = field(repr=False)
    lake_path: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the catalog of a home.

        Raises:
            HomeError: HATIF_CATALOG names no catalog.
        """
        dsn = settings.catalog_dsn
        kind, _, place = dsn.partition(":")
        if kind.lower() in ("postgres", "postgresql"):
            kind, place = "postgres", dsn if place.startswith("//") else place.strip()
        if kind not in _EXTENSIONS or not place:
            kinds = " or ".join(f"{kind}:" for kind in _EXTENSIONS)
            raise HomeError(f"HATIF_CATALOG must begin with {kinds}")
        return cls(kind, place, absolute(settings.lake_path).rstrip("/"))

    @property
    def file(self) -> Path | None:
        """The catalog's file; None where a server keeps it."""
        return Path(self.place) if self.kind == "sqlite" else None

    @property
    def size(self) -> int:
        """Bytes of the catalog's file and SQLite's log; of a server's, of the rows that wait in it.

        Raises:
            HomeError: its database cannot be reached.
        """
        database = self.database
        if database is not None:
            return database.waiting_bytes()
        if self.file is None:
            return 0
        states = map(_state, (self.file, self.file.with_name(f"{self.file.name}-wal")))
        return sum(state[0] for state in states if state is not None)

    @property
    def lake(self) -> Path | None:
        """The lake's folder; None where it is a bucket."""
        return None if "://" in self.lake_path else Path(self.lake_path)

    @property
    def bucket(self) -> Bucket | None:
        """The bucket with the Parquet files; None where they lie in a folder."""
        if not self.lake_path.startswith("s3://"):
            return None
        from warehouse.lake.bucket import Bucket  # pyarrow.fs is slow to load

        return Bucket.of(self.lake_path)

    @property
    def database(self) -> Database | None:
        """The database that keeps the catalog; None where that is a file.

        Raises:
            HomeError: HATIF_CATALOG is no connection string, or psycopg is not installed.
        """
        if self.kind != "postgres":
            return None
        try:
            from warehouse.lake.postgres import Database
        except ImportError:
            raise HomeError(
                f"HATIF_CATALOG names a PostgreSQL database: install {_EXTRA} for it"
            ) from None
        return Database.of(self.place)

    @property
    def name(self) -> str:
        """The catalog for a message."""
        database = self.database
        return self.place if database is None else database.name

    def is_missing(self) -> bool:
        """Whether there is no catalog yet: no file, or an empty one; or no tables of DuckLake's.

        Raises:
            HomeError: its database cannot be reached.
        """
        database = self.database
        if database is not None:
            return not database.has_catalog()
        file = self.file
        return file is not None and (
            not file.exists() or (file.is_file() and not file.stat().st_size)
        )

    @property
    def config(self) -> dict[str, bool]:
        """How DuckDB is to be opened for it."""
        found = config_for(self._extensions)
        if self.kind != "sqlite" or self.lake is None:
            found["allow_persistent_secrets"] = False  # of the user's, kept in files
        return found

    @property
    def _extensions(self) -> tuple[str, ...]:
        bucket = self.bucket
        return (
            _EXTENSIONS[self.kind],
            "ducklake",
            *(() if bucket is None else bucket.extensions),
        )

    def attach(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        read_only: bool,
        copy: Path | None = None,
        inlined_rows: int | None = None,
    ) -> None:
        """Attach it as ``wh``; a new one is made unless `read_only`.

        The lake's folder is stated absolutely each time, whatever the catalog remembers: so a home
        can be moved, and used from any working directory.

        Args:
            connection: a new one.
            read_only: attach for reading only.
            copy: a copy of the catalog's file to read in its place.
            inlined_rows: rows that a transaction may leave in a catalog in a file, of each table;
                None = DuckLake's default.
        """
        database, bucket = self.database, self.bucket
        for extension in self._extensions:
            load_extension(connection, extension)
        options = [f"DATA_PATH {literal(self.lake_path)}", "OVERRIDE_DATA_PATH true"]
        place = str(copy or self.place)
        if read_only:
            options.append("READ_ONLY")
        elif database is None:
            options.append("META_JOURNAL_MODE 'WAL'")
            _make_private(Path(self.place))
        if inlined_rows is not None and database is None:
            options.append(f"DATA_INLINING_ROW_LIMIT {inlined_rows}")
        if database is not None:
            place = database.dsn
            # A commit on top of another writer's is refused instead of rebased: what DuckLake
            # compares for that does not find every conflict. `Lake.write` does all of it again.
            connection.execute("SET ducklake_max_retry_count = 0")
            # Made also without a password, or one of the user's own would be looked for.
            password = "" if not database.password else f", PASSWORD {literal(database.password)}"
            connection.execute(f"CREATE OR REPLACE SECRET {_CREDENTIALS} (TYPE postgres{password})")
            options.append(f"META_SECRET '{_CREDENTIALS}'")
        if bucket is not None:
            connection.execute(bucket.secret())
        target = literal(f"ducklake:{self.kind}:{place}")
        connection.execute(f"ATTACH {target} AS wh ({', '.join(options)})")


def absolute(path: str) -> str:
    """Return a local path absolute and without ``~``; an address as it is."""
    return path if "://" in path else str(Path(path).expanduser().absolute())


def _make_private(file: Path) -> None:
    """Make a new catalog's file for this user alone; SQLite's other files take over its mode."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return  # one that is there keeps its mode


def needs_copy(catalog: Catalog) -> bool:
    """Whether SQLite cannot read the catalog where it is.

    In WAL mode even a reader writes, into a file beside the catalog. On a read-only medium, or in
    the home of another user, only a copy of the catalog can be read.
    """
    file = catalog.file
    if file is None or not file.is_file():
        return False
    beside = file.with_name(f"{file.name}-shm")
    where = beside if beside.exists() else file.parent
    # What closes the catalog last removes the file, perhaps between these two looks at it.
    return not os.access(where, os.W_OK) and where.exists()


def copied(file: Path) -> tempfile.TemporaryDirectory[str]:
    """Copy a catalog's file and SQLite's log into a folder of its own, to be removed after use.

    Raises:
        OSError: it cannot be read.
        HomeError: another process wrote to it each time.
    """
    folder = tempfile.TemporaryDirectory(prefix="hatif-catalog-")
    target = Path(folder.name)
    log = file.with_name(f"{file.name}-wal")
    try:
        for _ in range(_COPIES):
            before = _state(file), _state(log)
            shutil.copyfile(file, target / file.name)
            # One of the try before would be read into the copy.
            (target / log.name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # as soon as nothing has the catalog open
                shutil.copyfile(log, target / log.name)
            if (_state(file), _state(log)) == before:
                return folder
    except OSError:
        folder.cleanup()
        raise
    folder.cleanup()
    raise HomeError(
        f"cannot copy the catalog {file}: it is being written to. Run it again in a minute"
    )


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def config_for(extensions: Iterable[str]) -> dict[str, bool]:
    """Return how DuckDB is to be opened for extensions.

    Those from packages beside DuckDB's own are what the installer put there, as DuckDB is: to check
    their signatures, a tenth of a second each at every start, shows nothing more. One that DuckDB
    fetches is checked.
    """
    if all(find_spec(_PACKAGE + one) for one in extensions):
        return {"allow_unsigned_extensions": True, "autoinstall_known_extensions": False}
    return {}


def load_extension(connection: duckdb.DuckDBPyConnection, extension: str) -> None:
    """Load an extension from its PyPI package; from DuckDB's own store where there is none."""
    try:
        package = importlib.resources.files(_PACKAGE + extension)
    except ModuleNotFoundError:
        connection.install_extension(extension)
        connection.load_extension(extension)
        return
    version = f"v{duckdb.__version__}"
    file = package / "extensions" / version / f"{extension}.duckdb_extension"
    connection.execute(f"LOAD {literal(str(file))}")
