"""A note that several contacts hold, as after a merge of contacts, is one row: of the smallest id.

The other holders' rows wait in ``ops.shared_notes``, nearly always empty, and take the place when
that contact loses the note or is deleted. So the rows follow from what the contacts hold now, in
whatever order it came, and equal a rebuild.
"""

from __future__ import annotations

import duckdb

from warehouse.lake.sql import exists

TABLE = "core.contact_notes"
_WAITING = "FROM ops.shared_notes"
_COLUMNS = "note_id, contact_id, text, creator_name, creator_id, created_at, deleted_at"


def share_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one row of each note, after the notes of the contacts in ``changed`` were written."""
    if exists(connection, _WAITING):
        connection.execute(
            "DELETE FROM ops.shared_notes WHERE contact_id IN (SELECT record_id FROM changed)"
        )
    new = f"SELECT note_id FROM {TABLE} WHERE contact_id IN (SELECT record_id FROM changed)"
    _keep_one_each(connection, f"WHERE note_id IN ({new})")


def share_out_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one row of each note, after a rebuild wrote them all."""
    if exists(connection, _WAITING):
        connection.execute("DELETE FROM ops.shared_notes")
    _keep_one_each(connection, "")


def _keep_one_each(connection: duckdb.DuckDBPyConnection, candidates: str) -> None:
    several = f"SELECT note_id FROM {TABLE} {candidates} GROUP BY note_id HAVING count(*) > 1"
    if not exists(connection, _WAITING) and not exists(connection, f"FROM ({several})"):
        return
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE held_notes AS SELECT {_COLUMNS}, "
        "row_number() OVER (PARTITION BY note_id ORDER BY contact_id) AS rank FROM ("
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE note_id IN ({several} "
        f"UNION SELECT note_id {_WAITING}) UNION ALL SELECT {_COLUMNS} {_WAITING})"
    )
    connection.execute(f"DELETE FROM {TABLE} WHERE note_id IN (SELECT note_id FROM held_notes)")
    connection.execute("DELETE FROM ops.shared_notes")
    for table, rank in ((TABLE, "rank = 1"), ("ops.shared_notes", "rank > 1")):
        connection.execute(
            f"INSERT INTO {table} BY NAME SELECT {_COLUMNS} FROM held_notes WHERE {rank}"
        )
