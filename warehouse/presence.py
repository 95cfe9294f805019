"""Whether there is anything, before something dearer is asked or done."""

from __future__ import annotations

import duckdb


def exists(connection: duckdb.DuckDBPyConnection, rows: str) -> bool:
    """Return whether there is any row; of the lake's tables the cheapest question there is.

    Args:
        connection: where to ask. Nothing is bound, see `warehouse.outdated.mark`.
        rows: a FROM clause, with its conditions.
    """
    return connection.execute(f"SELECT 1 {rows} LIMIT 1").fetchone() is not None
