"""Single values that a home keeps from one run to the next: ``ops.home``, a text by its key.

What is kept there, by key: ``workspace_id`` and ``client_workspace`` (which workspace the home is
bound to), ``webhook_workspaces`` (the ids that stored deliveries were last compared with),
``schema``, ``merge``, ``marts``, ``rates`` and ``counters`` (fingerprints of how tables were made),
``ai_users``, ``clock`` (of the service) and ``full_round`` (the full sync under way).
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from warehouse.lake.sql import literal


def read(connection: duckdb.DuckDBPyConnection, key: str) -> str | None:
    """Return the value kept under a key, None where there is none."""
    row = connection.execute(f"SELECT value FROM ops.home WHERE key = {literal(key)}").fetchone()
    return None if row is None or row[0] is None else str(row[0])


def keep(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    """Keep values under their keys, in place of those before; inside a transaction."""
    forget(connection, *values)
    connection.executemany("INSERT INTO ops.home VALUES (?, ?)", list(values.items()))


def forget(connection: duckdb.DuckDBPyConnection, *keys: str) -> None:
    """Remove the values of keys, whether there are any or not; inside a transaction."""
    listed = ", ".join(map(literal, keys))
    connection.execute(f"DELETE FROM ops.home WHERE key IN ({listed})")
