"""The store's tables in DuckDB's own memory, not in a lake on disk: commits cost next to nothing.

For benchmarks that count requests over thousands of runs: what is read does not depend on where
tables lie, and DuckLake's commits would take hours. Nothing is kept.
"""

from __future__ import annotations

import duckdb

from warehouse.lake import functions
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import literal
from warehouse.models import model
from warehouse.settings.environment import Settings

_COLUMNS = """
    SELECT schema_name || '.' || table_name AS name,
        string_agg(format('"{}" {}', column_name, data_type), ', ' ORDER BY column_index)
    FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
    WHERE database_name = 'wh' GROUP BY 1
"""


class PlainLake(Lake):
    """The tables of a home in memory; made anew each time that it is opened.

    Args:
        settings: of a home without a warehouse; files other than tables lie there.
    """

    def __init__(self, settings: Settings) -> None:
        with open_lake(settings) as lake, lake.reading() as connection:
            self._tables = connection.execute(_COLUMNS).fetchall()
            self._kept = connection.execute("SELECT key, value FROM ops.home").fetchall()
        super().__init__(settings, memory="4GB")

    def _open(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {literal(str(self.home / 'tmp'))}")
        connection.execute("ATTACH ':memory:' AS wh")
        for schema in ("raw", "core", "marts", "ops"):
            connection.execute(f"CREATE SCHEMA wh.{schema}")
        for name, columns in self._tables:
            connection.execute(f"CREATE TABLE wh.{name} ({columns})")
        connection.execute(model.macros())
        functions.register(connection)
        connection.execute("SET search_path = 'wh.main,memory.main'")
        for view in (one for one in model.models("core") if one.is_view):
            connection.execute(f"CREATE VIEW wh.{view.table} AS {view.select}")
        for name in ("current_snapshot", "last_committed_snapshot"):
            connection.execute(f"CREATE MACRO wh.main.{name}() AS TABLE SELECT NULL::BIGINT AS id")
        if self._kept:
            connection.executemany("INSERT INTO wh.ops.home VALUES (?, ?)", self._kept)
