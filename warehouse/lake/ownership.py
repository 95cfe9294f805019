"""One lake folder belongs to one catalog: a marker in the folder names it.

Maintenance removes files that its catalog does not know. Two catalogs over one folder would remove
each other's, and a new catalog over an old lake would hide all that is in it. The marker holds the
id that DuckLake gave the catalog when it was made; folders of older versions get theirs when they
are opened for writing and hold the catalog's files. Buckets carry no marker; there maintenance
removes nothing that the catalog does not know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from hatif.errors import HomeError
from warehouse.lake.catalog import Catalog

MARKER = ".hatif-catalog"
#: How DuckLake names the files that it writes.
OURS = re.compile(r"ducklake-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-delete)?\.(parquet|puffin)")
_RESTORE = "restore the one that made it from a backup (docs/operations.md)"
_SAMPLE = 20

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
        HomeError: the lake holds files, and there is no catalog that knows them.
    """
    lake = catalog.lake
    # In this order: another process that makes both makes the catalog first.
    if lake is not None and _is_full(lake) and catalog.is_missing():
        raise _without_catalog(catalog, lake)


def require_lake(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, read_only: bool
) -> None:
    """See that the lake is the attached catalog's own; mark it so unless `read_only`.

    Raises:
        HomeError: it is another catalog's, or holds none of this one's files.
    """
    lake = catalog.lake
    if lake is None:
        return
    ours, theirs = _identity(connection), _marked(lake)
    if theirs == ours:
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
        _mark(lake, ours)
        if _marked(lake) != ours:
            raise _of_another(catalog, lake)


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


def _identity(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the id of the attached catalog: of the schema that each is made with."""
    found = connection.execute(
        "SELECT schema_uuid FROM __ducklake_metadata_wh.ducklake_schema WHERE schema_id = 0"
    ).fetchone()
    if found is None:
        raise HomeError("the catalog is damaged: it has no main schema. Restore it from a backup")
    return str(found[0])


def _has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    sql = "SELECT 1 FROM __ducklake_metadata_wh.ducklake_table LIMIT 1"
    return connection.execute(sql).fetchone() is not None


def _marked(lake: Path) -> str | None:
    try:
        return (lake / MARKER).read_text(encoding="ascii", errors="replace").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _mark(lake: Path, identity: str) -> None:
    """Write the marker whole, unless there is one."""
    lake.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = lake / f"{MARKER}.{os.getpid()}"
    unfinished.write_text(f"{identity}\n", encoding="ascii")
    try:
        os.link(unfinished, lake / MARKER)
    except FileExistsError:
        return
    except OSError:
        unfinished.replace(lake / MARKER)  # a file system without hard links
    finally:
        unfinished.unlink(missing_ok=True)


def _is_full(lake: Path) -> bool:
    return _marked(lake) is not None or next(_our_files(lake), None) is not None


def _our_files(lake: Path) -> Iterator[Path]:
    return (path for path in lake.rglob("ducklake-*") if is_written_by_us(path.name))
