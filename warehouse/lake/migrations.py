"""What homes of earlier versions hold that this version would misread, put right once.

Each step looks at the columns that were there before this version's tables were made.
"""

from __future__ import annotations

import duckdb

from hatif.streams import STREAMS
from warehouse.lake.sql import exists, literal
from warehouse.models.model import main_model

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
    if ("ops.cursors", "stream") in before and ("ops.absences", "stream") not in before:
        _clear_instants_that_cannot_be_shown(connection)
        _reread_lists_with_deleted_records(connection, before)


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
