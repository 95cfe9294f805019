"""One lake folder belongs to one catalog: a marker in the folder names it.

Maintenance removes files that its catalog does not know. Two catalogs over one folder would remove
each other's, and a new catalog over an old lake would hide all that is in it. The marker holds the
id that DuckLake gave the catalog when it was made; folders of older versions get theirs when they
are opened for writing and hold the catalog's files.

A copied catalog has the id of its original. So the marker also holds where the catalog's file and
the lake were: a catalog elsewhere, while the one at that place is still there and has the same id,
is a copy over the same lake and is refused for writing. A home that was moved, restored, or copied
together with its lake goes on, and the marker follows it.

A catalog on a server, which several homes share, states itself where its files are.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import duckdb

from hatif.errors import HomeError
from warehouse.lake.catalog import Catalog
from warehouse.lake.marker import LakePlace, place_of

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
#: Files that list deleted rows, with as many rows as they delete.
DELETIONS = FILES.replace("ducklake_data_file", "ducklake_delete_file").replace(
    "f.record_count", "f.delete_count"
)


def require_catalog(catalog: Catalog) -> None:
    """See that a missing catalog is not made anew over a lake that is full; call before attaching.

    Raises:
        HomeError: the lake holds files, and there is no catalog that knows them; or the catalog is
            a pipe or the like, whose opening would never end; or a server cannot be reached.
    """
    file = catalog.file
    if file is not None and file.exists() and not (file.is_file() or file.is_dir()):
        raise HomeError(f"the catalog {file} is no regular file. Move it away, or {_RESTORE}")
    if not catalog.is_missing():
        return
    lake = place_of(catalog)
    # Looked at once more: another process that makes both makes the catalog first.
    if lake.is_full() and catalog.is_missing():
        raise _without_catalog(catalog, lake)


def require_lake(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, read_only: bool
) -> None:
    """See that the lake is the attached catalog's own; mark it so unless `read_only`.

    Raises:
        HomeError: it is another catalog's, holds none of this one's files, or is not where the
            catalog has its files; or the catalog is a copy of the one that writes to it.
    """
    lake = place_of(catalog)
    ours, (theirs, places) = _identity(connection), lake.marked()
    if theirs is not None and theirs != ours:
        raise _of_another(catalog, lake)
    if catalog.file is None:
        _require_place(connection, catalog, is_marked=theirs == ours)
    if theirs == ours:
        if not read_only:
            _require_original(catalog, lake, ours, places)
        return
    rows = connection.execute(f"SELECT path FROM ({FILES}) LIMIT {_SAMPLE}").fetchall()
    known = [path for (path,) in rows]
    if known and len(lake.missing(known)) == len(known):
        raise HomeError(
            f"the lake in {lake.name} holds none of the files that the catalog {catalog.name} "
            "names: its folder was removed or moved. Set HATIF_LAKE to where it is, or restore it "
            "from a backup (docs/operations.md)"
        )
    if not read_only:
        if not known and not _has_tables(connection) and lake.is_full():
            raise _without_catalog(catalog, lake)
        lake.mark(ours, _places(catalog, lake))
        if lake.marked()[0] != ours:
            raise _of_another(catalog, lake)


def _require_place(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, is_marked: bool
) -> None:
    """See that a catalog which several homes share has its files where this home looks for them.

    A folder may be mounted elsewhere on another machine: there its marker shows that it is the one.
    """
    found = connection.execute(
        "SELECT value FROM __ducklake_metadata_wh.ducklake_metadata WHERE key = 'data_path'"
    ).fetchone()
    stated = "" if found is None else str(found[0]).rstrip("/")
    if stated != catalog.lake_path and not (is_marked and catalog.lake is not None):
        raise HomeError(
            f"the catalog {catalog.name} has its files in {stated}, and HATIF_LAKE names "
            f"{catalog.lake_path}: rows written there would be missing for all others. Set "
            f"HATIF_LAKE={stated}; for a lake that was moved see docs/cluster.md"
        )


def _places(catalog: Catalog, lake: LakePlace) -> dict[str, str]:
    """Return where the catalog and the lake are; nothing of a catalog that a server keeps."""
    file = catalog.file
    return {} if file is None else {"catalog": str(file.resolve()), "lake": lake.place}


def _require_original(
    catalog: Catalog, lake: LakePlace, identity: str, places: dict[str, str]
) -> None:
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
    lake.mark(identity, here, replace=True)


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


def _without_catalog(catalog: Catalog, lake: LakePlace) -> HomeError:
    return HomeError(
        f"the catalog {catalog.name} is missing or empty, but the lake in {lake.name} holds files: "
        f"without it they cannot be read. To go on, {_RESTORE}; or, if the lake is another home's, "
        "set HATIF_LAKE to a folder of this home's own; or, to begin anew, move the lake away"
    )


def _of_another(catalog: Catalog, lake: LakePlace) -> HomeError:
    return HomeError(
        f"the lake in {lake.name} belongs to another catalog than {catalog.name}. Set HATIF_LAKE "
        f"to a folder of this home's own, or {_RESTORE}"
    )


def _of_original(catalog: Catalog, lake: LakePlace, original: Path) -> HomeError:
    return HomeError(
        f"the catalog {catalog.name} is a copy of {original}, and both use the lake in "
        f"{lake.name}: they would remove each other's files. Set HATIF_LAKE to a copy of the lake "
        f"for this home; or, if this home takes the other's place, move {original} away"
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
