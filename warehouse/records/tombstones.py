"""Deletions: a tombstone in raw, ``deleted_at`` in core, for a record and all that hangs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from hatif.errors import BrakeHeld
from hatif.streams import STREAMS
from warehouse.lake import invalidation
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
    live, all_told = live + marked, deletions + marked
    if share is None or all_told <= max(ALWAYS, int(live * share)):
        return
    done = f"Only the first {marked} were" if marked else "Nothing was"
    raise BrakeHeld(
        f"{stream}: {all_told} of {live} records seem to be deleted in the service, more than "
        f"HATIF_DELETE_BRAKE allows ({share:.0%}). {done} marked. If they really are: "
        "hatif sync --full --accept-deletes"
    )


def mark_deleted(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    record_ids: Sequence[str],
    share: float | None,
    marked: Mapping[str, int],
) -> dict[str, int]:
    """Mark records deleted, and all that hang on them; return how many, by stream.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        record_ids: proven to be gone.
        share: the brake, see `brake`.
        marked: how many the run has marked before, by stream.

    Raises:
        BrakeHeld: too many, of this stream or of one that hangs on it.
    """
    buried: dict[str, int] = {}
    dead = {stream: pa.table({"record_id": pa.array(record_ids, pa.string())})}
    for name in _descent(stream):
        if name != stream:
            dead[name] = _children(connection, name, dead[STREAMS[name].parent or ""])
        if dead[name].num_rows:
            live = count_live(connection, name)
            brake(name, live, dead[name].num_rows, share, marked=marked.get(name, 0))
            buried[name] = _mark_stream_deleted(connection, name, dead[name])
    return buried


def _descent(stream: str) -> list[str]:
    """The stream and all that hang on it, parents first.

    Not those with an address of their own: a channel may only be hidden while its conversations
    live, and they can be asked.
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
    row = connection.execute(
        "SELECT count(*) FROM (SELECT record_id FROM raw.records WHERE stream = ? "
        "GROUP BY record_id HAVING max_by(op, seq) <> 'tombstone')",
        [stream],
    ).fetchone()
    return int(row[0]) if row else 0


def _mark_stream_deleted(
    connection: duckdb.DuckDBPyConnection, stream: str, record_ids: pa.Table
) -> int:
    connection.register("dead", record_ids)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE buried AS
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
    connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM buried")
    connection.execute(
        "INSERT INTO raw.records BY NAME SELECT $stream AS stream, record_id, parent_id, "
        "(SELECT max(seq) FROM raw.records) + row_number() OVER () AS seq, 'tombstone' AS op, "
        "fetched_at FROM buried",
        {"stream": stream},
    )
    core_tables.type_records(connection, stream)
    core_tables.retype(connection, stream)
    invalidation.mark_records(connection, stream, "buried")
    # Should one come back, the lists that hang on it are to be read as if for the first time.
    connection.execute(
        "DELETE FROM ops.cursors WHERE list_contains(?, stream) "
        "AND parent_id IN (SELECT record_id FROM buried)",
        [[name for name, entry in STREAMS.items() if entry.parent == stream]],
    )
    row = connection.execute("SELECT count(*) FROM buried").fetchone()
    return int(row[0]) if row else 0
