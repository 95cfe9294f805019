"""Writing only what differs: a computed result beside the rows that are stored."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from warehouse.lake import invalidation
from warehouse.lake.sql import exists, literal, scalar
from warehouse.models.model import Model

#: So many keys are looked up one by one; each names the table once more, which costs some 10 ms.
_FEW = 10


def given_only(keys: Sequence[str] | None) -> tuple[str, list[list[str]] | None]:
    """Return a condition that the column ``key`` is among `keys`, if any, and its parameters.

    It is no comparison that DuckLake would hand to its catalog, where a value could be refused.
    """
    return ("", None) if keys is None else ("AND list_contains(?, key) ", [list(keys)])


def narrowed(connection: duckdb.DuckDBPyConnection, column: str, chosen: str) -> str | None:
    """Return a condition: the column is a ``key`` of the temporary table `chosen`.

    It names the smallest and the largest, too, by which whole files are passed over. None = the
    table is empty.
    """
    low, high = connection.execute(f"SELECT min(key), max(key) FROM {chosen}").fetchone() or (
        None,
        None,
    )
    if low is None:
        return None
    if "\0" in low + high:
        # No literal can hold it.
        return f"{column} IN (SELECT key FROM {chosen})"
    return (
        f"{column} BETWEEN {literal(low)} AND {literal(high)} "
        f"AND {column} IN (SELECT key FROM {chosen})"
    )


def rows_of(
    connection: duckdb.DuckDBPyConnection, select: str, column: str, chosen: str
) -> str | None:
    """Return SQL for the rows of `select` whose column is a ``key`` of the table `chosen`.

    A few keys are looked up one by one: of files sorted by the column DuckDB then decodes only the
    parts that can hold them, a fifth of the time at a million messages.

    Args:
        connection: where `chosen` is.
        select: a SELECT that ends in its WHERE clause.
        column: of its table.
        chosen: a temporary table; None is returned where it is empty.
    """
    keys = connection.execute(f"SELECT key FROM {chosen} ORDER BY key LIMIT {_FEW + 1}").fetchall()
    if 0 < len(keys) <= _FEW and not any("\0" in key for (key,) in keys):
        return " UNION ALL ".join(f"{select} AND {column} = {literal(key)}" for (key,) in keys)
    where = narrowed(connection, column, chosen)
    return None if where is None else f"{select} AND {where}"


def write_differences(
    connection: duckdb.DuckDBPyConnection, model: Model, *, column: str, strays: str
) -> int:
    """Bring the table up to the rows in ``merged_rows``, and mark for the marts what changed.

    Args:
        connection: inside a transaction.
        model: of the table; its grain is one column.
        column: `merged_rows` stands for the stored rows where it is a key of the table ``chosen``.
        strays: a SELECT of keys that it stands for, too, wherever they are stored.

    Returns:
        How many rows came, went or changed.
    """
    (key,) = model.grain
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    select = f"SELECT {columns} FROM {model.table} WHERE"
    rows = rows_of(connection, f"{select} true", column, "chosen") or f"{select} false"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE stored AS {rows}")
    connection.execute(
        f"INSERT INTO stored SELECT {columns} FROM {model.table} WHERE {key} IN ("
        f"SELECT {key} FROM merged_rows UNION ({strays}) EXCEPT SELECT {key} FROM stored)"
    )
    differs = " OR ".join(
        f's."{column.name}" IS DISTINCT FROM f."{column.name}"' for column in model.columns
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE differing AS SELECT coalesce(s.{key}, f.{key}) AS key "
        f"FROM stored s FULL JOIN merged_rows f ON f.{key} = s.{key} WHERE {differs}"
    )
    changed = scalar(connection, "SELECT count(DISTINCT key) FROM differing")
    if not changed:
        return 0
    if exists(connection, "FROM stored"):
        connection.execute(f"DELETE FROM {model.table} WHERE {key} IN (FROM differing)")
    connection.execute(
        f"INSERT INTO {model.table} BY NAME SELECT {columns} FROM merged_rows "
        f"WHERE {key} IN (FROM differing)"
    )
    names = {column.name for column in model.columns}
    of_any = f"coalesce(conversation_id, '{invalidation.NO_CONVERSATION}')"
    for kind, column in (("conversation", of_any), ("contact", "contact_id")):
        if f"{kind}_id" in names:
            both = " UNION ALL ".join(
                f"SELECT {column} AS key FROM {rows} WHERE {key} IN (FROM differing)"
                for rows in ("stored", "merged_rows")
            )
            invalidation.mark(connection, "marts", kind, both)
    return changed
