"""One lake folder belongs to one catalog: a marker in the folder names it.

Maintenance removes files that its catalog does not know. Two catalogs over one folder would remove
each other's, and a new catalog over an old lake would hide all that is in it. The marker holds the
id that DuckLake gave the catalog when it was made; folders of older versions get theirs when they
are opened for writing and hold the catalog's files.

A copied catalog has the id of its original. So the marker also holds where the catalog's file and
the lake were: a catalog elsewhere, while the one at that place is still there and has the same id,
is a copy over the same lake and is refused for writing. A home that was moved, restored, or copied
together with its lake goes on, and the marker follows it.

Buckets carry no marker; there maintenance removes nothing that the catalog does not know.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from hatif.errors import HomeError
from warehouse.lake import disk
from warehouse.lake.catalog import Catalog

MARKER = ".hatif-catalog"
#: How DuckLake names the files that it writes.
OURS = re.compile(r"ducklake-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-delete)?\.(parquet|puffin)")
_RESTORE = "restore the one that made it from a backup (docs/operations.md)"
_SAMPLE = 20
_IDENTITY = "SELECT schema_uuid FROM {}ducklake_schema WHERE schema_id = 0"
_BUSY = 5.0  # seconds to wait for another program that writes to a catalog

#: Living files that the catalog knows, by their path inside the lake, with their rows. Files with
#: an absolute path were added by hand and are not of this lake.
FILES = """
    SELECT DISTINCT s.schema_name || '.' || t.table_name AS table_name,
        s.path || t.path || f.path AS path, f.record_count AS rows, f.file_size_bytes AS bytes
    FROM __ducklake_metadata_wh.ducklake_data_file f
    JOIN __ducklake_metadata_wh.ducklake_table t ON t.table_id = f.table_id
    JOIN __ducklake_metadata_wh.ducklake_schema s ON s.schema_id = t.schema_id
    WHERE f.path_is_relative AND t.path_is_relative AND s.path_is_relative
        AND f.end_snapshot IS NULL AND t.end_snapshot IS NULL
"""


def require_catalog(catalog: Catalog) -> None:
    """See that a missing catalog is not made anew over a lake that is full; call before attaching.

    Raises:
        HomeError: the lake holds files, and there is no catalog that knows them; or the catalog is
            a pipe or the like, whose opening would never end.
    """
    lake, file = catalog.lake, catalog.file
    if file is not None and file.exists() and not (file.is_file() or file.is_dir()):
        raise HomeError(f"the catalog {file} is no regular file. Move it away, or {_RESTORE}")
    # In this order: another process that makes both makes the catalog first.
    if lake is not None and _is_full(lake) and catalog.is_missing():
        raise _without_catalog(catalog, lake)


def require_lake(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, read_only: bool
) -> None:
    """See that the lake is the attached catalog's own; mark it so unless `read_only`.

    Raises:
        HomeError: it is another catalog's, holds none of this one's files, or the catalog is a
            copy of the one that writes to it.
    """
    lake = catalog.lake
    if lake is None:
        return
    ours, (theirs, places) = _identity(connection), _marked(lake)
    if theirs == ours:
        if not read_only:
            _require_original(catalog, lake, ours, places)
        return
    if theirs is not None:
        raise _of_another(catalog, lake)
    known = connection.execute(f"SELECT path FROM ({FILES}) LIMIT {_SAMPLE}").fetchall()
    if known and not any((lake / path).exists() for (path,) in known):
        raise HomeError(
            f"the lake in {lake} holds none of the files that the catalog {catalog.name} names: "
            "its folder was removed or moved. Set HATIF_LAKE to where it is, or restore it from a "
            "backup (docs/operations.md)"
        )
    if not read_only:
        if not known and not _has_tables(connection) and _is_full(lake):
            raise _without_catalog(catalog, lake)
        # One that is there is empty: a disk lost what was written.
        _mark(lake, ours, _places(catalog, lake), replace=(lake / MARKER).exists())
        if _marked(lake)[0] != ours:
            raise _of_another(catalog, lake)


def _places(catalog: Catalog, lake: Path) -> dict[str, str]:
    """Return where the catalog and the lake are; nothing of a catalog that a server keeps."""
    file = catalog.file
    return {} if file is None else {"catalog": str(file.resolve()), "lake": str(lake.resolve())}


def _require_original(catalog: Catalog, lake: Path, identity: str, places: dict[str, str]) -> None:
    """See that no other catalog of the same id writes to the lake; let the marker follow a move."""
    here = _places(catalog, lake)
    if here == places:
        return
    original, file = Path(places.get("catalog", "")), catalog.file
    if (
        file is not None
        and places.get("lake") == here["lake"]
        and original.is_file()
        and not original.samefile(file)
        and _identity_in(original) == identity
    ):
        raise _of_original(catalog, lake, original)
    _mark(lake, identity, here, replace=True)


def _identity_in(file: Path) -> str | None:
    """Return the id of a catalog that is not attached, None of a file that is none."""
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_BUSY)
        ) as connection:
            found = connection.execute(_IDENTITY.format("")).fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def is_written_by_us(name: str) -> bool:
    """Whether a file's name is one that DuckLake gives."""
    return OURS.fullmatch(name) is not None


def _without_catalog(catalog: Catalog, lake: Path) -> HomeError:
    return HomeError(
        f"the catalog {catalog.name} is missing or empty, but the lake in {lake} holds files: "
        f"without it they cannot be read. To go on, {_RESTORE}; or, if the lake is another home's, "
        "set HATIF_LAKE to a folder of this home's own; or, to begin anew, move the lake away"
    )


def _of_another(catalog: Catalog, lake: Path) -> HomeError:
    return HomeError(
        f"the lake in {lake} belongs to another catalog than {catalog.name}. Set HATIF_LAKE to a "
        f"folder of this home's own, or {_RESTORE}"
    )


def _of_original(catalog: Catalog, lake: Path, original: Path) -> HomeError:
    return HomeError(
        f"the catalog {catalog.name} is a copy of {original}, and both use the lake in {lake}: "
        "they would remove each other's files. Set HATIF_LAKE to a copy of the lake for this home; "
        f"or, if this home takes the other's place, move {original} away"
    )


def _identity(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the id of the attached catalog: of the schema that each is made with."""
    found = connection.execute(_IDENTITY.format("__ducklake_metadata_wh.")).fetchone()
    if found is None:
        raise HomeError("the catalog is damaged: it has no main schema. Restore it from a backup")
    return str(found[0])


def _has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    sql = "SELECT 1 FROM __ducklake_metadata_wh.ducklake_table LIMIT 1"
    return connection.execute(sql).fetchone() is not None


def _marked(lake: Path) -> tuple[str | None, dict[str, str]]:
    """Return the id in the lake's marker, None without one, and where catalog and lake were.

    Raises:
        HomeError: it cannot be read.
    """
    marker = lake / MARKER
    if marker.exists() and not (marker.is_file() or marker.is_dir()):
        raise HomeError(f"{marker} is no regular file. Remove it; a new one is written")
    try:
        lines = marker.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None, {}
    except OSError as error:
        raise HomeError(f"cannot read {marker}: {error.strerror}. Remove what is there") from None
    identity, places, *_ = [*lines, "", ""]
    return identity.strip() or None, _decoded(places)


def _decoded(text: str) -> dict[str, str]:
    """Return the places in a marker's second line; none where they cannot be read."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return {}
    return {key: str(place) for key, place in found.items()} if isinstance(found, dict) else {}


def _mark(lake: Path, identity: str, places: dict[str, str], *, replace: bool = False) -> None:
    """Write the marker whole; one that is there stays unless `replace`."""
    lake.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = lake / f"{MARKER}.{os.getpid()}"
    unfinished.write_text(f"{identity}\n{json.dumps(places)}\n", encoding="ascii")
    try:
        if replace:
            unfinished.replace(lake / MARKER)
        else:
            os.link(unfinished, lake / MARKER)
    except FileExistsError:
        return
    except OSError:
        unfinished.replace(lake / MARKER)  # a file system without hard links
    finally:
        unfinished.unlink(missing_ok=True)


def _is_full(lake: Path) -> bool:
    return _marked(lake)[0] is not None or next(_our_files(lake), None) is not None


def _our_files(lake: Path) -> Iterator[Path]:
    return (path for path, _ in disk.files(lake) if is_written_by_us(path.name))
