"""The rows of marts brought up to what was computed of some keys: only those that differ.

A conversation has hundreds of messages, and one of them changed: most of what is computed again is
stored already. Where few keys are computed, both are compared in memory, and what differs is
written; so a small change stays small in the lake, too.
"""

from __future__ import annotations

import duckdb

from warehouse.lake.sql import differing, scalar
from warehouse.models.model import Model

#: The temporary table with the rows of a mart that were computed, by the mart's name.
COMPUTED = "computed_{}"


def replace(connection: duckdb.DuckDBPyConnection, mart: Model, where: str) -> int:
    """Replace all rows of a mart for which a condition holds; return how many were stored."""
    connection.execute(f"DELETE FROM wh.{mart.table} WHERE {where}")
    inserted = connection.execute(f"INSERT INTO wh.{mart.table} BY NAME {mart.select}")
    (rows,) = inserted.fetchone() or (0,)
    return int(rows)


def write_differences(
    connection: duckdb.DuckDBPyConnection, mart: Model, select: str, where: str
) -> int:
    """Do the same, but leave rows that are stored as they are computed; return how many came.

    The computed rows, those of `select`, stay in a temporary table, `COMPUTED`.
    """
    computed = COMPUTED.format(mart.name)
    columns = ", ".join(f'"{one.name}"' for one in mart.columns)
    typed = ", ".join(f'"{one.name}"::{one.type} AS "{one.name}"' for one in mart.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {computed} AS SELECT {typed} FROM ({select})")
    stored = f"(SELECT {columns} FROM wh.{mart.table} WHERE {where})"
    # NULL is a value of its own in a grain.
    key = "concat_ws(chr(31), {})".format(
        ", ".join(f"coalesce({column}::VARCHAR, chr(30))" for column in mart.grain)
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE mart_keys AS SELECT {key} AS key, surplus "
        f"FROM ({differing(stored, computed, columns)})"
    )
    rows = 0
    differs = f"{key} IN (SELECT key FROM mart_keys)"
    goes, comes = connection.execute(
        "SELECT coalesce(bool_or(surplus > 0), false), "
        "coalesce(-sum(surplus) FILTER (surplus < 0), 0) FROM mart_keys"
    ).fetchone() or (False, 0)
    if comes and not goes:
        # A row that is stored as it is computed goes, too, where another has its grain.
        goes = scalar(connection, f"SELECT count(*) FROM {computed} WHERE {differs}") > comes
    if goes:
        connection.execute(f"DELETE FROM wh.{mart.table} WHERE ({where}) AND {differs}")
    if comes:
        inserted = connection.execute(
            f"INSERT INTO wh.{mart.table} BY NAME SELECT {columns} FROM {computed} WHERE {differs}"
        )
        (rows,) = inserted.fetchone() or (0,)
    connection.execute("DROP TABLE temp.mart_keys")
    return int(rows)
