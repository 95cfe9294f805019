"""Versions of records: what of a batch differs from what is stored, appended to raw and typed."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.streams import Stream
from hatif.wire import Reject
from warehouse.lake import invalidation
from warehouse.lake.sql import exists
from warehouse.records import core_tables, drift, workspace


def store(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    contents: pa.Table,
    suspects: Sequence[str],
    top: int,
) -> tuple[int, list[Reject]]:
    """Store the records that differ, in raw and core; return how many, and those misread.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        contents: each record once.
        suspects: ids of those that may be stored already.
        top: the largest ``seq`` so far.
    """
    if not contents.num_rows:
        return 0, []
    connection.register("batch", contents)
    if stream.parent is None:
        workspace.bind_batch(connection)
    any_known = _find_changed(connection, stream.name, suspects)
    misread = _set_misread_aside(connection, stream)
    drift.note_codes(connection, stream.name)
    changed, known = connection.execute(
        "SELECT count(*), count(*) FILTER (was_known) FROM changed"
    ).fetchone() or (0, 0)
    if changed:
        _append(connection, stream.name, top)
        core_tables.retype(connection, stream.name, any_known=known > 0)
        invalidation.mark_records(connection, stream.name, "changed")
        if any_known:
            # A record that moved concerns where it was, too.
            moved = "FROM latest SEMI JOIN changed USING (record_id)"
            invalidation.mark_records(connection, stream.name, f"({moved})")
    connection.unregister("batch")
    return int(changed), misread


def newest(connection: duckdb.DuckDBPyConnection, since: int = 0) -> int:
    """Return the largest ``seq`` there is, 0 where there is none.

    Args:
        connection: for reading.
        since: one that there is; files with none beyond it are not looked into.
    """
    found = connection.execute(
        f"SELECT coalesce(max(seq), {since}) FROM raw.records WHERE seq > {since}"
    ).fetchone()
    return int(found[0]) if found else since


def _find_changed(
    connection: duckdb.DuckDBPyConnection, stream: str, suspects: Sequence[str]
) -> bool:
    """Leave in the view ``changed`` what differs from its latest stored version.

    Where no record was ever stored it looks at the batch itself, which saves copying it.

    Returns:
        Whether any of them was stored before; the table ``latest`` then has them.
    """
    any_known = bool(suspects) and _look_up(connection, stream, suspects)
    if any_known:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE differing AS "
            "SELECT b.*, l.record_id IS NOT NULL AS was_known "
            "FROM batch b LEFT JOIN latest l ON l.record_id = b.record_id "
            "WHERE l.record_id IS NULL OR l.op = 'tombstone' OR l.payload_hash <> b.payload_hash "
            "OR l.parent_id IS DISTINCT FROM b.parent_id"
        )
        columns, source = "*", "differing"
    else:
        columns, source = "*, false AS was_known", "batch"
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW changed AS "
        f"SELECT {columns}, NULL::TIMESTAMPTZ AS deleted_at FROM {source}"
    )
    return any_known


def _look_up(connection: duckdb.DuckDBPyConnection, stream: str, record_ids: Sequence[str]) -> bool:
    """Leave in the table ``latest`` what is stored of records; return whether anything is."""
    connection.register("suspects", pa.table({"record_id": pa.array(record_ids, pa.string())}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE latest AS SELECT record_id, "
        "max_by(payload_hash, seq) AS payload_hash, max_by(op, seq) AS op, "
        "max_by(parent_id, seq) AS parent_id FROM raw.records "
        "WHERE stream = ? AND record_id IN (SELECT record_id FROM suspects) GROUP BY record_id",
        [stream],
    )
    connection.unregister("suspects")
    return exists(connection, "FROM latest")


def _set_misread_aside(connection: duckdb.DuckDBPyConnection, stream: Stream) -> list[Reject]:
    """Type what changed; what cannot be understood becomes a reject and is not stored."""
    return [
        Reject(
            stream.name,
            f"bad_value:{misread.key}",
            misread.payload,
            stream.path.replace("{parent}", misread.parent_id or ""),
        )
        for misread in core_tables.type_records(connection, stream.name)
    ]


def _append(connection: duckdb.DuckDBPyConnection, stream: str, top: int) -> None:
    """Append what changed to raw."""
    connection.execute(
        "INSERT INTO raw.records BY NAME SELECT $stream AS stream, record_id, parent_id, "
        "$top + row_number() OVER () AS seq, 'upsert' AS op, payload, payload_hash, scan_id, "
        "now() AS fetched_at FROM changed",
        {"stream": stream, "top": top},
    )
