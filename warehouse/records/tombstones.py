"""Deletions: a tombstone in raw, ``deleted_at`` in core, for a record and all its descendants.

The brake counts each proven deletion once: neither a record's descendants, nor a record whose
parent is deleted (a channel's conversations), count on their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.errors import BrakeHeld
from hatif.streams import STREAMS
from warehouse.lake import invalidation
from warehouse.lake.sql import scalar
from warehouse.models.model import main_model
from warehouse.records import core_tables

#: Rows that a run may always mark deleted, whatever share of the stream they are.
ALWAYS = 50


def brake(stream: str, live: int, deletions: int, share: float | None, *, marked: int = 0) -> None:
    """Refuse more deletions than the brake allows.

    Args:
        stream: for the message.
        live: records of the stream that are stored as living.
        deletions: how many of them would be marked.
        share: largest share of those that lived when the run began, 0 to 1; None lifts the brake.
        marked: how many the run has marked before.

    Raises:
        BrakeHeld: too many.
    """
    live, total = live + marked, deletions + marked
    if share is None or total <= max(ALWAYS, int(live * share)):
        return
    done = f"Only the first {marked} of them were" if marked else "None of them was"
    raise BrakeHeld(
        f"{stream}: {total} of {live} records seem to be deleted in the service, more than "
        f"HATIF_DELETE_BRAKE allows ({share:.0%}). {done} marked, everything else was read and "
        "stored. If they really are deleted: hatif sync --full --accept-deletes"
    )


def mark_deleted(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    record_ids: Sequence[str],
    share: float | None,
    marked: int,
) -> tuple[dict[str, int], int]:
    """Mark records deleted, and all their descendants.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        record_ids: proven to be gone.
        share: the brake, see `brake`.
        marked: how many of this stream the run has marked before.

    Returns:
        How many were marked, by stream; and how many of them count for the brake.

    Raises:
        BrakeHeld: too many; nothing was marked.
    """
    deleted: dict[str, int] = {}
    dead = {stream: pa.table({"record_id": pa.array(record_ids, pa.string())})}
    counted = _count_own(connection, stream, dead[stream])
    brake(stream, count_live(connection, stream), counted, share, marked=marked)
    for name in _descent(stream):
        if name != stream:
            dead[name] = _children(connection, name, dead[STREAMS[name].parent or ""])
        if dead[name].num_rows:
            deleted[name] = _mark_stream_deleted(connection, name, dead[name])
    return deleted, counted


def _count_own(connection: duckdb.DuckDBPyConnection, stream: str, record_ids: pa.Table) -> int:
    """Count the living records whose parents live, too: the others' deletion follows from theirs.

    Without a parent stream all count.
    """
    parent = STREAMS[stream].parent
    if parent is None:
        return int(record_ids.num_rows)
    model, above = main_model(stream), main_model(parent)
    connection.register("dead", record_ids)
    own = scalar(
        connection,
        f"SELECT count(*) FROM {model.table} t "
        f"LEFT JOIN {above.table} p ON p.{above.replace} = t.{model.parent} "
        f"WHERE t.{model.replace} IN (SELECT record_id FROM dead) "
        "AND t.deleted_at IS NULL AND p.deleted_at IS NULL",
    )
    connection.unregister("dead")
    return own


def _descent(stream: str) -> list[str]:
    """The stream and all that hang on it, parents first.

    Not those with an address of their own: a channel may only be hidden while its conversations
    live, and their own addresses show it.
    """
    found = [stream]
    for name, entry in STREAMS.items():
        if entry.parent in found and entry.own_path is None:
            found.append(name)
    return found


def _children(connection: duckdb.DuckDBPyConnection, stream: str, parents: pa.Table) -> pa.Table:
    connection.register("parents", parents)
    children = connection.execute(
        "SELECT record_id FROM raw.records WHERE stream = ? GROUP BY record_id "
        "HAVING max_by(op, seq) <> 'tombstone' "
        "AND max_by(parent_id, seq) IN (SELECT record_id FROM parents)",
        [stream],
    ).to_arrow_table()
    connection.unregister("parents")
    return children


def count_live(connection: duckdb.DuckDBPyConnection, stream: str) -> int:
    """Return how many records of a stream are stored as living."""
    return scalar(
        connection,
        "SELECT count(*) FROM (SELECT record_id FROM raw.records WHERE stream = ? "
        "GROUP BY record_id HAVING max_by(op, seq) <> 'tombstone')",
        [stream],
    )


def is_deleted(connection: duckdb.DuckDBPyConnection, stream: str, record_id: str | None) -> bool:
    """Return whether a record was stored and is marked deleted."""
    row = connection.execute(
        "SELECT max_by(op, seq) = 'tombstone' FROM raw.records WHERE stream = ? AND record_id = ?",
        [stream, record_id],
    ).fetchone()
    return bool(row and row[0])


def _mark_stream_deleted(
    connection: duckdb.DuckDBPyConnection, stream: str, record_ids: pa.Table
) -> int:
    connection.register("dead", record_ids)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE deleted AS
        SELECT
            record_id,
            max_by(parent_id, seq) AS parent_id,
            max_by(payload, seq) FILTER (WHERE op = 'upsert') AS payload,
            true AS was_known,
            now() AS fetched_at,
            now() AS deleted_at
        FROM raw.records
        WHERE stream = $stream AND record_id IN (SELECT record_id FROM dead)
        GROUP BY record_id
        HAVING max_by(op, seq) <> 'tombstone'
        """,
        {"stream": stream},
    )
    connection.unregister("dead")
    connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM deleted")
    connection.execute(
        "INSERT INTO raw.records BY NAME SELECT $stream AS stream, record_id, parent_id, "
        "(SELECT max(seq) FROM raw.records) + row_number() OVER () AS seq, 'tombstone' AS op, "
        "fetched_at FROM deleted",
        {"stream": stream},
    )
    core_tables.type_records(connection, stream)
    core_tables.retype(connection, stream)
    invalidation.mark_records(connection, stream, "deleted")
    connection.execute(
        "DELETE FROM ops.absences WHERE stream = ? "
        "AND record_id IN (SELECT record_id FROM deleted)",
        [stream],
    )
    # Should one come back, the lists that hang on it are to be read as if for the first time.
    connection.execute(
        "DELETE FROM ops.cursors WHERE list_contains(?, stream) "
        "AND parent_id IN (SELECT record_id FROM deleted)",
        [[name for name, entry in STREAMS.items() if entry.parent == stream]],
    )
    return scalar(connection, "SELECT count(*) FROM deleted")
