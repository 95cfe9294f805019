"""SQL as text: literals and durations; and queries for one value: is there a row, what number."""

from __future__ import annotations

from datetime import timedelta

import duckdb


def literal(text: str) -> str:
    """Return the text as an SQL string, where binding is impossible or costs too much."""
    return "'" + text.replace("'", "''") + "'"


def seconds(duration: timedelta) -> str:
    """Return a duration as SQL."""
    return f"to_seconds({duration.total_seconds()})"


def exists(connection: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Return whether there is any row; of the lake's tables the cheapest query there is.

    Args:
        connection: for reading. Nothing is bound, see `warehouse.lake.invalidation.mark`.
        rows: a FROM clause, with its conditions.
    """
    return connection.execute(f"SELECT 1 {rows} LIMIT 1").fetchone() is not None


def scalar(connection: duckdb.DuckDBPyConnection, sql: str, values: object = None) -> int:
    """Return the one number that a statement yields; 0 where it is NULL or there is no row.

    Args:
        connection: for reading, or for a statement that yields how many rows it changed.
        sql: the statement.
        values: what is bound to its parameters, None where it has none.
    """
    row = connection.execute(sql, values).fetchone()
    return int(row[0] or 0) if row else 0
