"""Categories that senders logged: HATIF_MESSAGE_CATEGORIES, kept in ``ops.message_categories``.

A changed file is compared with what is stored, and only conversations with messages whose category
changed are priced again. A line that is none (no id, an unknown category, an id with two of them)
is left out, counted and named. A file that can no longer be read leaves what was read before.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake import invalidation
from warehouse.lake.sql import home_value, keep_home_values, literal
from warehouse.settings.environment import Settings
from warehouse.settings.file_state import is_same, state_of
from warehouse.settings.message_categories import CategoryFile
from warehouse.settings.rate_card import CATEGORIES

_KEY = "message_categories"
#: Key of how many rows the file had, how many ids of them were left out, and on which lines.
COUNTS = "message_category_counts"
#: Key of why the file could not be read the last time; empty where it could.
ERROR = "message_category_error"
#: State of a file that could not be read: it is read again the next time.
_UNREAD = "unread"
_NAMES = ("message_id", "category", "template")
_BATCH = 50_000
_MOST_NAMED = 5


def bring_up(connection: duckdb.DuckDBPyConnection, settings: Settings, consumer: str) -> None:
    """Store the file where it has changed, and mark what is priced otherwise by it.

    Args:
        connection: inside a transaction.
        settings: that name the file, or none.
        consumer: for whom conversations are marked.
    """
    file = settings.message_categories
    before = home_value(connection, _KEY) or ""
    now = state_of([file.path], before) if file else ""
    if before == now:
        return
    if is_same(before, now):
        keep_home_values(connection, {_KEY: now})
        return
    try:
        rows, left_out, lines = read(connection, file)
    except (OSError, ValueError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error)
        keep_home_values(connection, {_KEY: _UNREAD, ERROR: reason})
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE categories_changed AS SELECT DISTINCT message_id FROM ("
        "(FROM categories_given EXCEPT SELECT message_id, category, template "
        "FROM ops.message_categories) UNION ALL "
        "(SELECT message_id, category, template FROM ops.message_categories "
        "EXCEPT FROM categories_given))"
    )
    changed = "(SELECT message_id FROM categories_changed)"
    invalidation.mark(
        connection,
        consumer,
        "conversation",
        f"SELECT coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
        f"FROM core.messages WHERE lower(wamid) IN {changed} OR event_id IN {changed}",
    )
    connection.execute(f"DELETE FROM ops.message_categories WHERE message_id IN {changed}")
    connection.execute(
        "INSERT INTO ops.message_categories BY NAME "
        f"FROM categories_given WHERE message_id IN {changed}"
    )
    counts = f"{rows} {left_out} {lines}".strip()
    keep_home_values(connection, {_KEY: now, COUNTS: counts, ERROR: ""})


def read(connection: duckdb.DuckDBPyConnection, file: CategoryFile | None) -> tuple[int, int, str]:
    """Make ``categories_given`` of a file: message_id, category and template.

    Returns:
        How many rows the file has, how many ids of them are left out, and the first lines of these.

    Raises:
        OSError: the file cannot be read.
        ValueError: it lacks a column that it had, or is a damaged Parquet file.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE categories_raw "
        "(line BIGINT, message_id VARCHAR, category VARCHAR, template VARCHAR)"
    )
    for batch in _batches(file) if file else ():
        connection.register("category_rows", batch)
        connection.execute("INSERT INTO categories_raw BY NAME FROM category_rows")
        connection.unregister("category_rows")
    known = ", ".join(map(literal, CATEGORIES))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE categories_read AS "
        "SELECT line, lower(trim(message_id)) AS message_id, "
        "regexp_replace(lower(trim(category)), '[ -]+', '_', 'g') AS category, "
        "nullif(trim(template), '') AS template FROM categories_raw"
    )
    connection.execute("DROP TABLE temp.categories_raw")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE categories_given AS "
        "SELECT message_id, min(category) AS category, min(template) AS template "
        f"FROM categories_read WHERE message_id <> '' AND category IN ({known}) "
        "GROUP BY message_id HAVING min(category) = max(category)"
    )
    rows, ids, kept = connection.execute(
        "SELECT count(*), count(DISTINCT coalesce(message_id, '')), "
        "(SELECT count(*) FROM categories_given) FROM categories_read"
    ).fetchall()[0]
    if ids == kept:
        return rows, 0, ""
    lines = connection.execute(
        "SELECT line FROM categories_read WHERE coalesce(message_id, '') NOT IN "
        f"(SELECT message_id FROM categories_given) OR category NOT IN ({known}) "
        f"ORDER BY line LIMIT {_MOST_NAMED}"
    ).fetchall()
    return rows, ids - kept, ",".join(str(line) for (line,) in lines)


def _batches(file: CategoryFile) -> Iterator[pa.Table]:
    """Yield the rows of a file with their numbers: those of lines, or of Parquet's rows."""
    return _of_parquet(file) if file.is_parquet else _of_csv(file)


def _of_parquet(file: CategoryFile) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq  # a tenth of a second that other commands need not spend

    number = 1
    try:
        with pq.ParquetFile(file.path) as rows:
            for batch in rows.iter_batches(_BATCH, columns=[one for one in file.columns if one]):
                columns = {
                    name: batch.column(one).cast(pa.string()) if one else [None] * len(batch)
                    for name, one in zip(_NAMES, file.columns, strict=True)
                }
                numbers = pa.array(range(number, number + len(batch)), pa.int64())
                yield pa.table({"line": numbers, **columns})
                number += len(batch)
    except (pa.ArrowException, KeyError):
        raise ValueError("it is a damaged Parquet file, or lacks its columns") from None


def _of_csv(file: CategoryFile) -> Iterator[pa.Table]:
    """Each line is a row, whatever quotes are in it: one that is not closed costs no other line."""
    rows = _rows(file.path)
    heading: list[str] = next((cells for _, cells in rows), [])
    if not {*file.columns[:2]} <= {*heading}:
        raise ValueError("it lacks the columns message_id and category")
    places = [heading.index(one) if one in heading else None for one in file.columns]
    while batch := list(islice(rows, _BATCH)):
        columns = {
            name: pa.array([_cell(cells, place) for _, cells in batch], pa.string())
            for name, place in zip(_NAMES, places, strict=True)
        }
        numbers = pa.array([number for number, _ in batch], pa.int64())
        yield pa.table({"line": numbers, **columns})


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip("\n")
            if text.strip() and not text.startswith("#"):
                yield number, _cells(text) if '"' in text else text.split(",")


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a cell beyond all measure
        return []


def _cell(cells: list[str], place: int | None) -> str | None:
    return cells[place] if place is not None and place < len(cells) else None
