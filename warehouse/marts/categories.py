"""Categories that senders logged: HATIF_MESSAGE_CATEGORIES, kept in ``ops.message_categories``.

A changed file is compared with what is stored, and only conversations with messages whose category
changed are priced again. A row that is none (no id, an unknown category, an id with two categories)
is left out and counted.
"""

from __future__ import annotations

import duckdb

from hatif.errors import SettingsError
from warehouse.lake import invalidation
from warehouse.lake.explain import explain
from warehouse.lake.sql import home_value, keep_home_values, literal
from warehouse.settings.environment import Settings
from warehouse.settings.message_categories import CategoryFile
from warehouse.settings.rate_card import CATEGORIES

_KEY = "message_categories"
#: Key of how many rows the file had, and how many ids of them were left out.
COUNTS = "message_category_counts"


def bring_up(connection: duckdb.DuckDBPyConnection, settings: Settings, consumer: str) -> None:
    """Store the file where it has changed, and mark what is priced otherwise by it.

    Args:
        connection: inside a transaction.
        settings: that name the file, or none.
        consumer: for whom conversations are marked.

    Raises:
        SettingsError: the file cannot be read.
    """
    file = settings.message_categories
    now = _state(file)
    if (home_value(connection, _KEY) or "") == now:
        return
    rows, left_out = read(connection, file)
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
    keep_home_values(connection, {_KEY: now, COUNTS: f"{rows} {left_out}"})


def read(connection: duckdb.DuckDBPyConnection, file: CategoryFile | None) -> tuple[int, int]:
    """Make ``categories_given`` of a file: message_id, category and template.

    Returns:
        How many rows the file has, and how many ids of them are left out.

    Raises:
        SettingsError: the file cannot be read.
    """
    source = "(SELECT NULL AS message_id, NULL AS category, NULL AS template WHERE false)"
    if file is not None:
        names = [
            f"NULL AS {name}" if given is None else f'"{_quoted(given)}"::VARCHAR AS {name}'
            for name, given in zip(
                ("message_id", "category", "template"), file.columns, strict=True
            )
        ]
        source = f"(SELECT {', '.join(names)} FROM {_reader(file)})"
    known = ", ".join(map(literal, CATEGORIES))
    try:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE categories_read AS "
            "SELECT lower(trim(message_id)) AS message_id, "
            "regexp_replace(lower(trim(category)), '[ -]+', '_', 'g') AS category, "
            f"nullif(trim(template), '') AS template FROM {source}"
        )
    except duckdb.Error as error:
        raise SettingsError(f"HATIF_MESSAGE_CATEGORIES: cannot be read: {explain(error)}") from None
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
    return rows, ids - kept


def _reader(file: CategoryFile) -> str:
    path = literal(str(file.path))
    if file.is_parquet:
        return f"read_parquet({path})"
    return (
        f"read_csv({path}, header = true, all_varchar = true, delim = ',', quote = '\"', "
        "escape = '\"', comment = '#', ignore_errors = true, null_padding = true, "
        "strict_mode = false)"
    )


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _state(file: CategoryFile | None) -> str:
    if file is None:
        return ""
    try:
        found = file.path.stat()
    except OSError as error:
        raise SettingsError(
            f"HATIF_MESSAGE_CATEGORIES: cannot be read ({error.strerror})"
        ) from None
    return f"{file.path} {found.st_size} {found.st_mtime_ns}"
