"""SQL as text, queries for one value, and single values that a home keeps between runs.

``ops.home`` is a text by its key: ``workspace_id`` and ``client_workspace`` (which workspace the
home is bound to), ``webhook_workspaces`` (the ids that stored deliveries were last compared with),
``schema``, ``core``, ``merge``, ``marts``, ``rates`` and ``counters`` (fingerprints of how tables
were made), ``ai_users``, ``message_categories``, ``message_category_counts`` and
``message_category_error`` (the file last read), ``invoices`` (their files),
``campaign_gap_hours``, ``clock`` (of the service), ``followed_since`` (the service's time when the
first run ended), ``full_round`` (the full sync under way), and ``passed merged`` and ``passed
marts`` (when the checks of these tables passed, as JSON).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import duckdb

from warehouse.lake import staging


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


def names_phone_functions(sql: str) -> bool:
    """Return whether a statement may call ``phone_e164`` or ``phone_country``.

    They load slowly, and need NumPy: readers get them where a statement names one.
    """
    return "phone_" in sql.lower()


#: So many keys are listed in a condition; each is compared with every row that is read.
_MOST_LISTED = 100
#: The same of keys that many rows share, next to each other: they are compared once for each part
#: of a file. Of 10 million messages 200 conversations are read in half the time, 500 in 0.8 of it.
MOST_SHARED = 200


def among(
    connection: duckdb.DuckDBPyConnection,
    column: str,
    keys: str,
    relation: str,
    most: int = _MOST_LISTED,
) -> str | None:
    """Return the condition that a text column is one of a temporary table's keys; None of none.

    It names the smallest and the largest, by which whole files are passed over. A few are listed
    behind an expression: DuckDB evaluates that while it scans, and decodes of other columns only
    the parts with rows that are wanted. A list alone, or a subquery, it compares after it has
    decoded everything (1.5.5): four times as long for 20 of 5,000 conversations. Nor may another
    condition stand beside it: with one, it compares the key of each row in place of each different
    key of a file, ten times as long. Compare what is read then, or read ``(SELECT … OFFSET 0)``.

    Args:
        connection: where the table is.
        column: of another table.
        keys: the column with the keys.
        relation: the temporary table.
        most: so many keys are listed at most.
    """
    subquery = f"{column} IN (SELECT {keys} FROM {relation})"
    rows = connection.execute(
        f"SELECT DISTINCT {keys} FROM {relation} WHERE {keys} IS NOT NULL LIMIT {most + 1}"
    ).fetchall()
    found = [key for (key,) in rows]
    if not found:
        return None
    if any("\0" in key for key in found):
        return subquery  # no literal can hold it
    if len(found) <= most:
        listed = ", ".join(map(literal, sorted(found)))
        return f"({_between(column, min(found), max(found))} AND ({column} || '') IN ({listed}))"
    within = bounds(connection, column, keys, relation)
    return f"({within} AND {subquery})" if within else subquery


def bounds(
    connection: duckdb.DuckDBPyConnection, column: str, keys: str, relation: str
) -> str | None:
    """Return the condition that a text column lies between a temporary table's keys.

    None where there are no keys, or where no literal can hold them.
    """
    low, high = connection.execute(f"SELECT min({keys}), max({keys}) FROM {relation}").fetchall()[0]
    if low is None or "\0" in low + high:
        return None
    return _between(column, low, high)


def _between(column: str, low: str, high: str) -> str:
    return f"{column} BETWEEN {literal(low)} AND {literal(high)}"


def differing(one: str, other: str, columns: str) -> str:
    """Return a SELECT of the rows that two relations do not have equally often.

    How often the one has a row more than the other is its column ``surplus``. NULL equals NULL.
    It groups once; EXCEPT ALL, both ways, numbers the rows of each group first (DuckDB 1.5.5): ten
    times as long for a few rows of 27 columns.

    Args:
        one: a relation.
        other: a relation with these columns, too.
        columns: by which rows are compared, separated by commas.
    """
    return (
        f"SELECT {columns}, sum(side_of_row) AS surplus "
        f"FROM (SELECT {columns}, 1 AS side_of_row FROM {one} UNION ALL "
        f"SELECT {columns}, -1 FROM {other}) GROUP BY {columns} HAVING sum(side_of_row) <> 0"
    )


def scalar(connection: duckdb.DuckDBPyConnection, sql: str, values: object = None) -> int:
    """Return the one number that a statement yields; 0 where it is NULL or there is no row.

    Args:
        connection: for reading, or for a statement that yields how many rows it changed.
        sql: the statement.
        values: what is bound to its parameters, None where it has none.
    """
    row = connection.execute(sql, values).fetchone()
    return int(row[0] or 0) if row else 0


def home_values(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return all values that are kept, by key."""
    return staging.values(connection)


def home_value(connection: duckdb.DuckDBPyConnection, key: str) -> str | None:
    """Return the value kept under a key, None where there is none."""
    return home_values(connection).get(key)


def keep_home_values(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    """Keep values under their keys, in place of those before; inside a transaction."""
    forget_home_values(connection, *values)
    connection.executemany("INSERT INTO ops.home VALUES (?, ?)", list(values.items()))
    staging.forget_values(connection)


def forget_home_values(connection: duckdb.DuckDBPyConnection, *keys: str) -> None:
    """Remove the values of keys, whether there are any or not; inside a transaction."""
    listed = ", ".join(map(literal, keys))
    connection.execute(f"DELETE FROM ops.home WHERE key IN ({listed})")
    staging.forget_values(connection)
