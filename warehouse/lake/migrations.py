"""What homes of earlier versions hold that this version would misread, put right once.

Each step looks at the columns that were there before this version's tables were made.
"""

from __future__ import annotations

import duckdb

from hatif.streams import STREAMS
from warehouse.lake.sql import exists, literal
from warehouse.models.model import main_model, models

#: No instant of ours is later: Python's calendar ends with the year 9999, in any zone.
_LAST_INSTANT = "TIMESTAMPTZ '9000-01-01 00:00:00+00'"
_CURSOR_INSTANTS = ("read_at", "whole_at", "watermark", "due_at")


def apply(connection: duckdb.DuckDBPyConnection, before: set[tuple[str, str]]) -> None:
    """Put right what an earlier version left; run inside the transaction that makes the tables.

    Args:
        connection: this version's tables of raw and ops are made, core's may lack columns.
        before: (table, column) of all that was there.
    """
    # Marts that depend on the rate card once had a prefix of the kind in place of a consumer.
    if exists(connection, "FROM ops.outdated WHERE starts_with(kind, 'prices of ')"):
        connection.execute(
            "UPDATE ops.outdated SET consumer = 'prices', kind = replace(kind, 'prices of ', '') "
            "WHERE starts_with(kind, 'prices of ')"
        )
    if _is_of_first_version(before):
        _clear_instants_that_cannot_be_shown(connection)
        _reread_lists_with_deleted_records(connection, before)


def _is_of_first_version(columns: set[tuple[str, str]]) -> bool:
    return ("ops.cursors", "stream") in columns and ("ops.absences", "stream") not in columns


def has_ids_with_a_nul(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether a home of the first version has ids that `remove_ids_with_a_nul` removes."""
    return any(
        exists(connection, f"FROM {table} WHERE {_has_nul(column)}")
        for table, column in _ids(connection)
    )


def remove_ids_with_a_nul(connection: duckdb.DuckDBPyConnection) -> None:
    """An id with a NUL ends DuckLake's own statements early: every join over its table fails.

    Records of raw with such an id are set aside, as this version does when it reads them. Elsewhere
    the id becomes NULL, and a row that it is the key of goes. In a transaction of its own, before
    any other step: a table cannot be altered in the one that changed rows of it.
    """
    _set_records_aside(connection)
    optional = {("raw.webhook_events", "channel_id"), ("raw.webhook_events", "conversation_id")}
    for one in models("core"):
        keys = {*one.grain, one.replace}
        optional |= {(one.table, column.name) for column in one.columns if column.name not in keys}
    for table, column in _ids(connection):
        where = f"WHERE {_has_nul(column)}"
        if not exists(connection, f"FROM {table} {where}"):
            continue
        if (table, column) in optional:
            connection.execute(f"UPDATE {table} SET {column} = NULL {where}")
        else:
            connection.execute(f"DELETE FROM {table} {where}")


def _ids(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the columns of ids in a home of the first version, with their tables; else none."""
    columns = set(
        connection.execute(
            "SELECT schema_name || '.' || c.table_name, column_name FROM duckdb_columns() c "
            "JOIN duckdb_tables() t USING (database_name, schema_name, table_name) "
            "WHERE database_name = 'wh' AND data_type = 'VARCHAR'"
        ).fetchall()
    )
    if not _is_of_first_version(columns):
        return []
    return sorted(
        (table, column)
        for table, column in columns
        if column.endswith("_id") or column in ("key", "message_key", "call_key")
    )


def _has_nul(column: str) -> str:
    return f"contains({column}, chr(0))"


def _set_records_aside(connection: duckdb.DuckDBPyConnection) -> None:
    """Move what raw holds under an id, or of a parent, with a NUL to ``ops.rejects``."""
    rows = f"FROM raw.records WHERE {_has_nul('record_id')} OR {_has_nul('parent_id')}"
    if not exists(connection, rows):
        return
    last = (
        f"SELECT stream, payload::VARCHAR, parent_id {rows} QUALIFY seq = "
        "max(seq) FILTER (op = 'upsert') OVER (PARTITION BY stream, record_id)"
    )
    for stream, text, parent in connection.execute(last).fetchall():
        connection.execute(
            "INSERT INTO ops.rejects BY NAME SELECT sha256(concat_ws(chr(31), $stream, $reason, "
            "$raw)) AS reject_id, 'api' AS source, $stream AS stream, $reason AS reason, "
            "$raw AS raw, $location AS location, now() AS first_seen_at",
            {
                "stream": stream,
                "reason": "missing_id",
                "raw": text,
                "location": STREAMS[stream].list_path(parent),
            },
        )
    connection.execute(f"DELETE {rows}")


def _clear_instants_that_cannot_be_shown(connection: duckdb.DuckDBPyConnection) -> None:
    """Events dated to the end of the calendar put steps and watermarks beyond it."""
    for column in _CURSOR_INSTANTS:
        connection.execute(
            f"UPDATE ops.cursors SET {column} = NULL WHERE {column} > {_LAST_INSTANT}"
        )


def _reread_lists_with_deleted_records(
    connection: duckdb.DuckDBPyConnection, before: set[tuple[str, str]]
) -> None:
    """One empty answer was once enough to delete; lists that lost records are read again."""
    for name, stream in STREAMS.items():
        if stream.parent is None or stream.own_path is not None or stream.whole:
            continue
        model, parent = main_model(name), main_model(stream.parent)
        if (model.table, "deleted_at") not in before or (parent.table, "deleted_at") not in before:
            continue
        connection.execute(
            "INSERT INTO ops.hints BY NAME "
            f"SELECT DISTINCT {literal(name)} AS stream, t.{model.parent} AS parent_id, "
            "now() AS hinted_at, true AS whole "
            f"FROM {model.table} t JOIN {parent.table} p ON p.{parent.replace} = t.{model.parent} "
            "WHERE t.deleted_at IS NOT NULL AND p.deleted_at IS NULL"
        )
