"""Moving a store to another place: catalog, files and every snapshot, byte for byte.

    python -m warehouse.lake.moving --catalog 'postgres:host=db dbname=hatif' --lake s3://b/lake

The settings still name the store as it is, of one workspace; the arguments are what HATIF_CATALOG
and HATIF_LAKE will be. What is there stays as it was. All that writes must have been stopped; a
lock keeps it from beginning meanwhile. In the end every table is read in both places and compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import fs

from hatif.errors import HatifError, HomeError
from warehouse.lake.catalog import Catalog
from warehouse.lake.connection import Lake, require_warehouse
from warehouse.lake.explain import explain
from warehouse.lake.home import make_home
from warehouse.lake.locks import API, LIVE, REBUILD, WEBHOOKS, WRITE
from warehouse.lake.marker import place_of
from warehouse.lake.sql import literal, scalar
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

_METADATA = "__ducklake_metadata_wh"
#: DuckLake's own tables. Left out are rows that wait in the catalog, in tables of each kind of
#: catalog's own, and files that are out of use, which stay where they are.
METADATA = (
    "ducklake_column",
    "ducklake_column_mapping",
    "ducklake_column_tag",
    "ducklake_data_file",
    "ducklake_delete_file",
    "ducklake_file_column_stats",
    "ducklake_file_partition_value",
    "ducklake_file_variant_stats",
    "ducklake_macro",
    "ducklake_macro_impl",
    "ducklake_macro_parameters",
    "ducklake_metadata",
    "ducklake_name_mapping",
    "ducklake_partition_column",
    "ducklake_partition_info",
    "ducklake_schema",
    "ducklake_schema_versions",
    "ducklake_snapshot",
    "ducklake_snapshot_changes",
    "ducklake_sort_expression",
    "ducklake_sort_info",
    "ducklake_table",
    "ducklake_table_column_stats",
    "ducklake_table_stats",
    "ducklake_tag",
    "ducklake_view",
)
_PATHS = f"""
    SELECT DISTINCT s.path || t.path || f.path
    FROM (
        SELECT table_id, path, path_is_relative FROM {_METADATA}.ducklake_data_file
        UNION SELECT table_id, path, path_is_relative FROM {_METADATA}.ducklake_delete_file
    ) f
    JOIN {_METADATA}.ducklake_table t USING (table_id)
    JOIN {_METADATA}.ducklake_schema s USING (schema_id)
"""
_TABLES = """
    SELECT schema_name || '.' || table_name FROM duckdb_tables()
    WHERE database_name = 'wh' ORDER BY ALL
"""
_AT_ONCE = 8  # files
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied.

    Attributes:
        files: Parquet files.
        sums: of each table the number of rows and a sum over their content.
    """

    files: int
    sums: dict[str, tuple[int, int]] = field(repr=False)


def move(settings: Settings, catalog: str, lake: str) -> Moved:
    """Copy the store of a home to another place and compare the two.

    Args:
        settings: with the store as it is.
        catalog: HATIF_CATALOG of the new one; its database is there and empty, its file is not.
        lake: HATIF_LAKE of the new one, empty.

    Raises:
        HomeError: there is something already, rows wait in the catalog, a place cannot be used, or
            the copy differs.
        Busy: a process writes.
    """
    require_warehouse(settings)
    target = settings.model_copy(update={"catalog": catalog, "lake": lake})
    new = Catalog.of(target)
    if not new.is_missing() or place_of(new).is_full():
        raise HomeError(
            f"there is something in {new.name} or {new.lake_path} already: name an empty database "
            "(or a file that is not there) and an empty prefix or folder"
        )
    store = Store.of(settings)
    with ExitStack() as held:
        held.callback(store.locks.close)
        for name in (LIVE, API, WEBHOOKS, REBUILD, WRITE):
            held.enter_context(store.locks.exclusive(name, "moves the store", wait=False))
        with Lake(settings, read_only=True) as old, old.snapshot() as connection:
            _require_nothing_waits(connection)
            metadata = {
                name: connection.execute(f"FROM {_METADATA}.{name}").to_arrow_table()
                for name in METADATA
            }
            paths = [path for (path,) in connection.execute(_PATHS).fetchall()]
            before = _sums(connection)
        _copy_files(store.catalog, new, paths)
        if new.file is not None:
            make_home(new.file.parent)
        _write_metadata(new, metadata)
    with Lake(target) as moved, moved.snapshot() as connection:
        after = _sums(connection)
    if after != before:
        different = sorted(name for name in before if before[name] != after.get(name))
        raise HomeError(f"the copy differs in {', '.join(different)}: do not use it")
    return Moved(len(paths), after)


def _require_nothing_waits(connection: duckdb.DuckDBPyConnection) -> None:
    listed = f"SELECT table_name FROM {_METADATA}.ducklake_inlined_data_tables"
    for (table,) in connection.execute(listed).fetchall():
        if scalar(connection, f'SELECT count(*) FROM {_METADATA}."{table}"'):
            raise HomeError(
                "rows wait in the catalog to be written to files: run hatif maintain, and see that "
                "it put off no step"
            )


def _sums(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """Return the rows of each table, and a sum over their content that knows no order."""
    found = {}
    for (name,) in connection.execute(_TABLES).fetchall():
        sql = f"SELECT count(*), coalesce(sum(hash(t))::HUGEINT, 0) FROM wh.{name} t"
        ((rows, content),) = connection.execute(sql).fetchall()
        found[name] = (int(rows), int(content))
    return found


def _copy_files(old: Catalog, new: Catalog, paths: list[str]) -> None:
    source, source_root = _filesystem(old)
    target, target_root = _filesystem(new)

    def copy(path: str) -> None:
        place = f"{target_root}/{path}"
        if new.lake is not None:
            Path(place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            source.open_input_stream(f"{source_root}/{path}", compression=None) as stream,
            target.open_output_stream(place, compression=None) as output,
        ):
            shutil.copyfileobj(stream, output, _CHUNK)

    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(copy, paths):
                pass
    except OSError as error:
        raise HomeError(f"cannot copy the files of the lake: {explain(error)}") from None


def _filesystem(catalog: Catalog) -> tuple[fs.FileSystem, str]:
    if catalog.bucket is None:
        return fs.LocalFileSystem(), catalog.lake_path
    return catalog.bucket.filesystem(), catalog.lake_path.removeprefix("s3://")


def _write_metadata(new: Catalog, metadata: dict[str, pa.Table]) -> None:
    """Make the new catalog and put the old one's rows in place of its own, in one transaction."""
    with duckdb.connect(config=dict(new.config)) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            new.attach(connection, read_only=False)
            connection.execute("BEGIN")
            for name, rows in metadata.items():
                connection.execute(f"DELETE FROM {_METADATA}.{name}")
                _insert(connection, name, rows)
            place = literal(f"{new.lake_path}/")
            connection.execute(
                f"UPDATE {_METADATA}.ducklake_metadata SET value = {place} WHERE key = 'data_path'"
            )
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise HomeError(f"cannot make the catalog {new.name}: {explain(error)}") from None


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    # SQLite has neither booleans nor instants nor UUIDs: each kind of catalog keeps its own types.
    types = connection.execute(f"DESCRIBE {_METADATA}.{name}").fetchall()
    columns = ", ".join(f'"{column}"::{kind}' for column, kind, *_ in types)
    connection.register("moved_rows", rows)
    connection.execute(f"INSERT INTO {_METADATA}.{name} SELECT {columns} FROM moved_rows")
    connection.unregister("moved_rows")


def main(arguments: list[str] | None = None) -> int:
    """Move the store that the settings name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m warehouse.lake.moving", description=__doc__)
    parser.add_argument("--catalog", required=True, help="HATIF_CATALOG of the new store")
    parser.add_argument("--lake", required=True, help="HATIF_LAKE of the new store")
    given = parser.parse_args(arguments)
    try:
        moved = move(Settings.load(), given.catalog, given.lake)
    except HatifError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = sum(count for count, _ in moved.sums.values())
    sys.stdout.write(
        f"{moved.files} files, {len(moved.sums)} tables, {rows:,} rows: the copy is equal. Set "
        "HATIF_CATALOG and HATIF_LAKE to it everywhere, then start what you stopped\n"
    )
    return 0


if __name__ == "__main__":
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.exit(main())
