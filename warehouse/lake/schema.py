"""The tables of the lake: made in a new home, brought up to date in one of an older version.

Those of ``raw`` and ``ops`` are written in ``raw_and_ops.sql``; ``core`` and ``marts`` follow from
the models' headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
from xxhash import xxh3_128_hexdigest

from hatif.errors import HomeError
from hatif.streams import STREAMS
from warehouse.lake import invalidation, migrations, statistics
from warehouse.lake.connection import MEMORY, Lake
from warehouse.lake.sql import home_value, keep_home_values, literal
from warehouse.models.model import Model, check, macros, models
from warehouse.settings.environment import Settings

_RAW_AND_OPS = Path(__file__).with_name("raw_and_ops.sql").read_text(encoding="utf-8")

#: Raised where older homes are to be brought up to date although no table's text differs.
_REVISION = "2"
#: From the catalog's own tables: duckdb_tables() reads the statistics of each table, too.
_THERE = """
    SELECT schema_name || '.' || name
    FROM (
        SELECT schema_id, table_name AS name
        FROM __ducklake_metadata_wh.ducklake_table
        WHERE end_snapshot IS NULL
        UNION ALL
        SELECT schema_id, view_name
        FROM __ducklake_metadata_wh.ducklake_view
        WHERE end_snapshot IS NULL
    )
    JOIN __ducklake_metadata_wh.ducklake_schema s USING (schema_id)
    WHERE s.end_snapshot IS NULL
"""
_OUR_TABLES = re.compile(r"CREATE TABLE IF NOT EXISTS wh\.([a-z_.]+) \((.*?)\n\);", re.DOTALL)


@contextmanager
def open_lake(
    settings: Settings,
    *,
    memory: str = MEMORY,
    threads: int | None = None,
    inlined_rows: int | None = None,
) -> Iterator[Lake]:
    """Open the lake for writing, with this version's tables in it; see `Lake`.

    Raises:
        HomeError: the home cannot be used.
    """
    with Lake(settings, memory=memory, threads=threads, inlined_rows=inlined_rows) as lake:
        bring_up_to_date(lake)
        yield lake


def bring_up_to_date(lake: Lake) -> None:
    """Make this version's tables in a lake that is new or another version's."""
    with lake.reading() as connection:
        ours = matches_this_version(connection)
        odd = not ours and migrations.has_ids_with_a_nul(connection)
    if odd:
        lake.write("remove ids with a NUL", migrations.remove_ids_with_a_nul)
    if not ours:
        lake.write("make the tables", create)


def make_again(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Drop a table and make it again, empty, in one transaction; its files are not read."""
    connection.execute(f"DROP TABLE IF EXISTS wh.{model.table}")
    _create(connection, model, set())


def with_files(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names, without schema, of the tables whose rows lie in files."""
    found = connection.execute(
        "SELECT table_name FROM ducklake_table_info('wh') WHERE file_count > 0"
    ).fetchall()
    return {table for (table,) in found}


def make_ours_again(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """The same for a table of raw or ops, named with its schema."""
    columns = dict(_OUR_TABLES.findall(_RAW_AND_OPS))[table]
    connection.execute(f"DROP TABLE IF EXISTS wh.{table}")
    connection.execute(f"CREATE TABLE wh.{table} ({columns})")


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether every table is there, without writing."""
    there = {table for (table,) in connection.execute(_THERE).fetchall()}
    wanted = {model.table for model in (*models("core"), *models("marts"))}
    wanted |= {table for table, _ in _OUR_TABLES.findall(_RAW_AND_OPS)}
    return wanted <= there


def require_current(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """See that every table is there.

    Raises:
        HomeError: the lake is new, or an older version's.
    """
    if not is_current(connection):
        raise HomeError(
            f"the warehouse in {home} has no tables yet, or those of an older version; run: "
            "hatif sync"
        )


def fingerprint() -> str:
    """Return a hash that distinguishes this version's tables and views."""
    texts = [_REVISION, _RAW_AND_OPS]
    texts += [model.sql for model in (*models("core"), *models("marts"))]
    return xxh3_128_hexdigest("".join(texts).encode())


def matches_this_version(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether the tables and views were made by this very version."""
    if not is_current(connection):
        return False
    return home_value(connection, "schema") == fingerprint()


def is_typed_by_this_version(values: Mapping[str, str]) -> bool:
    """Return whether the records in core were typed by this version's SQL and functions.

    Args:
        values: those of ``ops.home``.
    """
    return values.get("core") == _typing()


def remember_typing(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that they were; run inside a transaction."""
    keep_home_values(connection, {"core": _typing()})


def _typing() -> str:
    """Return a hash that distinguishes how this version types records."""
    from warehouse.lake import functions  # slow to load, and readers do not need it

    sql = "".join(model.select for model in models("core") if model.stream and not model.is_view)
    return xxh3_128_hexdigest(f"{sql}{macros()}{functions.version()}".encode())


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is missing and renew the views; run inside a transaction.

    Raises:
        ModelError: an SQL file names something that does not exist.
    """
    check(STREAMS)
    before = _columns(connection)
    connection.execute(_RAW_AND_OPS)
    _add_columns(connection)
    migrations.apply(connection, before)
    # Few rows a group: a lookup of a few conversations in a sorted file skips the rest.
    connection.execute("CALL wh.set_option('parquet_row_group_size', 16384)")
    views = _drop_views_of_an_older_version(connection)
    # A stream's rows lie in files of their own, so that looking one up touches no other's.
    connection.execute("ALTER TABLE wh.raw.records SET PARTITIONED BY (stream)")
    there = _columns(connection)
    for model in (*models("core"), *models("marts")):
        _create(connection, model, {column for table, column in there if table == model.table})
    if views:
        # Tables now, but nothing in them yet: merge what the timelines hold.
        invalidation.mark(
            connection,
            "merge",
            "conversation",
            "SELECT conversation_id AS key FROM core.timeline_events",
        )
    keep_home_values(connection, {"schema": fingerprint()})
    if ("raw.records", "stream") not in before:
        remember_typing(connection)
    statistics.initialize(connection)


def _columns(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Return every column that is there, with its table."""
    return set(
        connection.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE database_name = 'wh'"
        ).fetchall()
    )


def _add_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Add to the tables of raw and ops in an older home what they lack."""
    there = _columns(connection)
    for table, body in _OUR_TABLES.findall(_RAW_AND_OPS):
        for column in body.strip().split(",\n"):
            name, kind = column.split()[:2]
            if (table, name) not in there:
                connection.execute(f"ALTER TABLE wh.{table} ADD COLUMN {name} {kind}")


def _drop_views_of_an_older_version(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Make way for tables that were views once; return their names."""
    tables = {model.table for model in (*models("core"), *models("marts")) if not model.is_view}
    found = connection.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE database_name = 'wh'"
    ).fetchall()
    views = sorted(tables & {view for (view,) in found})
    for view in views:
        connection.execute(f"DROP VIEW wh.{view}")
    return views


def _create(connection: duckdb.DuckDBPyConnection, model: Model, there: set[str]) -> None:
    """Make a table or view; add to a table that is there, with columns `there`, what it lacks."""
    if model.is_view:
        connection.execute(f"CREATE OR REPLACE VIEW wh.{model.table} AS {model.select}")
        _comment(connection, f"VIEW wh.{model.table}", model.description)
        return
    columns = ", ".join(f'"{column.name}" {column.type}' for column in model.columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS wh.{model.table} ({columns})")
    for column in model.columns:
        if there and column.name not in there:
            connection.execute(
                f'ALTER TABLE wh.{model.table} ADD COLUMN "{column.name}" {column.type}'
            )
    if model.sorted_by:
        connection.execute(f"ALTER TABLE wh.{model.table} SET SORTED BY ({model.sorted_by} ASC)")
    _comment(connection, f"TABLE wh.{model.table}", model.description)
    for column in model.columns:
        _comment(connection, f'COLUMN wh.{model.table}."{column.name}"', column.description)


def _comment(connection: duckdb.DuckDBPyConnection, what: str, text: str) -> None:
    connection.execute(f"COMMENT ON {what} IS {literal(text)}")
