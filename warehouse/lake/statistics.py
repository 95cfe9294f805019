"""Statistics of tables that never held a row.

DuckLake keeps the statistics of a table in memory. For a table without any it queries the catalog
again for each column of each statement: 60 ms of processor time to read an empty `core.messages`,
8 ms once there are statistics. A row inserted and deleted in one transaction leaves them behind,
and nothing else: neither a snapshot nor a file holds the row.
"""

from __future__ import annotations

from itertools import groupby

import duckdb

from warehouse.lake.sql import exists

_COLUMNS = """
    SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable
    FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
    WHERE database_name = 'wh' AND schema_name || '.' || table_name NOT IN (
        SELECT 'raw.records'  -- its first row soon comes; bounds from '' on would exclude no file
        UNION ALL
        SELECT s.schema_name || '.' || t.table_name
        FROM __ducklake_metadata_wh.ducklake_table_stats
        JOIN __ducklake_metadata_wh.ducklake_table t USING (table_id)
        JOIN __ducklake_metadata_wh.ducklake_schema s USING (schema_id)
        WHERE t.end_snapshot IS NULL
    )
    ORDER BY ALL
"""
#: Values of columns that take no NULL, by the beginning of their type; numbers take 0.
_VALUES = {"VARCHAR": "''", "TIMESTAMP": "now()", "DATE": "current_date"}


def initialize(connection: duckdb.DuckDBPyConnection) -> None:
    """Give statistics to every empty table that has none; run inside a transaction.

    A table that the same transaction dropped and made again is not seen to have none.
    """
    columns = connection.execute(_COLUMNS).fetchall()
    for table, found in groupby(columns, key=lambda column: column[0]):
        if exists(connection, f"FROM wh.{table}"):
            continue  # filled by this transaction: its end brings statistics
        row = ", ".join(
            f'{_value(kind, nullable)} AS "{name}"' for _, name, kind, nullable in found
        )
        connection.execute(f"INSERT INTO wh.{table} BY NAME SELECT {row}")
        connection.execute(f"DELETE FROM wh.{table}")


def _value(kind: str, nullable: bool) -> str:
    if nullable:
        return "NULL"
    return next((value for start, value in _VALUES.items() if kind.startswith(start)), "0")
