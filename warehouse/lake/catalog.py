"""The DuckLake catalog: where it is, the extensions that read it, and how it is attached."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import duckdb

from hatif.errors import HomeError
from warehouse.lake.sql import literal
from warehouse.settings.environment import Settings

#: Extension of DuckDB that reads each kind of catalog.
_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
_PACKAGE = "duckdb_extension_"
_COPIES = 5


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalog as ``HATIF_CATALOG`` names it.

    Attributes:
        kind: `sqlite` or `postgres`.
        place: a file, or a connection string, which can hold a password.
        lake_path: absolute folder or address of the Parquet files; ends in no slash.
    """

    kind: str
    place: str
    lake_path: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the catalog of a home.

        Raises:
            HomeError: HATIF_CATALOG names no catalog.
        """
        kind, _, place = settings.catalog_dsn.partition(":")
        if kind not in _EXTENSIONS or not place:
            kinds = " or ".join(f"{kind}:" for kind in _EXTENSIONS)
            raise HomeError(f"HATIF_CATALOG must begin with {kinds}")
        return cls(kind, place, absolute(settings.lake_path))

    @property
    def file(self) -> Path | None:
        """The catalog's file; None where a server keeps it."""
        return Path(self.place) if self.kind == "sqlite" else None

    @property
    def size(self) -> int:
        """Bytes of the catalog's file and SQLite's log; 0 where a server keeps it."""
        if self.file is None:
            return 0
        states = map(_state, (self.file, self.file.with_name(f"{self.file.name}-wal")))
        return sum(state[0] for state in states if state is not None)

    @property
    def lake(self) -> Path | None:
        """The lake's folder; None where it is a bucket."""
        return None if "://" in self.lake_path else Path(self.lake_path)

    @property
    def name(self) -> str:
        """The catalog for a message; of a server only the kind, since the rest can be secret."""
        return self.place if self.kind == "sqlite" else f"({self.kind}) that HATIF_CATALOG names"

    def is_missing(self) -> bool:
        """Whether there is no catalog yet, as far as a file shows: none, or an empty one."""
        file = self.file
        return file is not None and (
            not file.exists() or (file.is_file() and not file.stat().st_size)
        )

    @property
    def has_packaged_extensions(self) -> bool:
        """Whether all the extensions come from packages beside DuckDB's own.

        Such are what the installer put there, as DuckDB is: to check their signatures, a tenth of a
        second each at every start, shows nothing more. One that DuckDB fetches is checked.
        """
        return all(find_spec(_PACKAGE + one) for one in (_EXTENSIONS[self.kind], "ducklake"))

    def attach(
        self, connection: duckdb.DuckDBPyConnection, *, read_only: bool, copy: Path | None = None
    ) -> None:
        """Attach it as ``wh``; a new one is made unless `read_only`.

        The lake's folder is stated absolutely each time, whatever the catalog remembers: so a home
        can be moved, and used from any working directory.

        Args:
            connection: a new one.
            read_only: attach for reading only.
            copy: a copy of the catalog's file to read in its place.
        """
        for extension in (_EXTENSIONS[self.kind], "ducklake"):
            _load(connection, extension)
        options = [f"DATA_PATH {literal(self.lake_path)}", "OVERRIDE_DATA_PATH true"]
        if read_only:
            options.append("READ_ONLY")
        elif self.kind == "sqlite":
            options.append("META_JOURNAL_MODE 'WAL'")
            _make_private(Path(self.place))
        target = literal(f"ducklake:{self.kind}:{copy or self.place}")
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


def _load(connection: duckdb.DuckDBPyConnection, extension: str) -> None:
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
