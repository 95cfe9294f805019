"""Rows of messages, calls and IVR calls, computed of what was gathered of them.

All in temporary tables of a connection: ``gathered_events`` and ``gathered_statuses``, the events
and deliveries, become ``merged_rows``. They must hold all that can interact with one another
(`warehouse.merge.rows`, `warehouse.merge.everything`).
"""

from __future__ import annotations

import duckdb

from warehouse.lake.sql import exists, scalar
from warehouse.models.model import merge_step, model

#: Events and deliveries whose values are computed at once.
_ROWS_OF_VALUES = 20_000
_IS_EDIT = "coalesce(message_type IN ('message_edited', 'message_deleted'), false)"


def number_deliveries(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``gathered_statuses`` of ``gathered``, deliveries about messages, in their order."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE shared_event_ids AS SELECT event_id FROM gathered "
        f"WHERE event_id IS NOT NULL AND NOT {_IS_EDIT} GROUP BY event_id HAVING "
        "min(wamid) <> max(wamid) OR min(conversation_id) <> max(conversation_id)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_statuses AS "
        "SELECT gathered.*, n, message_key AS stored_key, "
        f"{_IS_EDIT} AS is_edit, coalesce(event_id NOT IN (FROM shared_event_ids), true) "
        "AS is_event_id FROM gathered JOIN ("
        "SELECT seq, row_number() OVER (ORDER BY received_at, delivery_id) AS n FROM gathered"
        ") USING (seq)"
    )


def find_keys(connection: duckdb.DuckDBPyConnection) -> bool:
    """Say in ``gathered_statuses`` which message each delivery belongs to.

    Returns:
        Whether that differs from what is stored of any; those are in ``moved`` by their ``seq``.
    """
    _offer(connection)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {merge_step('message_keys')}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS SELECT seq, k.message_key "
        "FROM statuses s JOIN keys k USING (seq) "
        "WHERE s.message_key IS DISTINCT FROM k.message_key"
    )
    if not exists(connection, "FROM moved"):
        return False
    connection.execute(set_keys("gathered_statuses"))
    return True


def set_keys(table: str) -> str:
    """Return the statement that gives a table's deliveries the keys in ``moved``."""
    return f"UPDATE {table} SET message_key = m.message_key FROM moved m WHERE {table}.seq = m.seq"


def find_values(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``merged_rows``, the messages; in slices, so that any conversation fits into memory."""
    rows = scalar(
        connection,
        "SELECT (SELECT count(*) FROM gathered_events) + (SELECT count(*) FROM gathered_statuses)",
    )
    slices = rows // _ROWS_OF_VALUES + 1
    table = model("core.messages")
    columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE merged_rows ({columns})")
    for number in range(slices):
        _offer(connection, f"WHERE hash({{}}) % {slices} = {number}")
        connection.execute(f"INSERT INTO merged_rows BY NAME {table.select}")


def mark_auto_replies(connection: duckdb.DuckDBPyConnection) -> None:
    """Say in ``merged_rows``, messages with all around them, which are automatic answers."""
    connection.execute(
        "UPDATE merged_rows SET is_probable_auto_reply = true "
        f"WHERE message_key IN ({merge_step('auto_replies')})"
    )


def order_deliveries(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Make ``gathered_statuses``, deliveries about calls, with their place in their order, ``n``.

    Args:
        connection: for temporary tables.
        rows: a FROM clause, with its conditions.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_statuses AS "
        f"SELECT *, row_number() OVER (ORDER BY received_at, delivery_id) AS n {rows}"
    )


def merge_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``merged_rows``, the calls, after `order_deliveries`."""
    _offer(connection)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE call_keys AS {merge_step('call_keys')}")
    _merge_rows(connection, "core.calls")


def merge_ivr_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``merged_rows``, the IVR calls, of their deliveries alone."""
    connection.execute("CREATE OR REPLACE TEMP VIEW statuses AS FROM gathered_statuses")
    _merge_rows(connection, "core.ivr_calls")


def _merge_rows(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE merged_rows AS {model(table).select}")


def _offer(connection: duckdb.DuckDBPyConnection, where: str = "") -> None:
    """Make the relations ``timeline`` and ``statuses`` that the SQL reads."""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW timeline AS FROM gathered_events {where.format('event_id')}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW statuses AS "
        f"FROM gathered_statuses {where.format('message_key')}"
    )
