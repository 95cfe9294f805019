"""Versions of records: what of a batch differs from what is stored, appended to raw and typed.

The way of a batch, all of it temporary relations of one transaction::

    batch    (Arrow) every record of the batch once: record_id, parent_id, scan_id, payload_hash,
             payload
    latest   (table) the latest stored version of those that may be stored: record_id,
             payload_hash, op, parent_id
    changed  (view) what differs, with was_known, and deleted_at = NULL: of the table ``differing``,
             or of ``batch`` itself where none of it is stored

`warehouse.records.core_tables` goes on from ``changed``.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.streams import Stream
from hatif.wire import Reject
from warehouse.lake import invalidation
from warehouse.lake.sql import exists, scalar
from warehouse.models.model import main_model
from warehouse.records import core_tables, drift, followers


def store(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    contents: pa.Table,
    suspects: Sequence[str],
    top: int,
) -> tuple[int, list[Reject]]:
    """Store the records that differ, in raw and core; return how many, and those set aside.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        contents: each record once, columns as in ``batch``.
        suspects: ids of those that may be stored already.
        top: the largest ``seq`` so far.
    """
    if not contents.num_rows:
        return 0, []
    connection.register("batch", contents)
    any_known = _find_changed(connection, stream.name, suspects)
    unreadable = core_tables.type_records(connection, stream.name)
    model = main_model(stream.name)
    drift.note_codes(connection, stream.name, model, "typed", model.replace)
    changed, known = connection.execute(
        "SELECT count(*), count(*) FILTER (was_known) FROM changed"
    ).fetchone() or (0, 0)
    if changed:
        connection.execute(_APPEND, {"stream": stream.name, "top": top})
        has_moved = followers.find_moved(connection, stream.name)
        core_tables.retype(connection, stream.name, any_known=known > 0)
        invalidation.mark_records(connection, stream.name, "changed")
        if any_known:
            # A record that moved concerns where it was, too.
            moved = "FROM latest SEMI JOIN changed USING (record_id)"
            invalidation.mark_records(connection, stream.name, f"({moved})")
        if has_moved:
            followers.follow(connection)
    connection.unregister("batch")
    misread = [
        Reject(
            stream.name,
            one.reason,
            one.payload,
            stream.list_path(one.parent_id),
        )
        for one in unreadable
    ]
    return int(changed), misread


def newest(connection: duckdb.DuckDBPyConnection, since: int = 0) -> int:
    """Return the largest ``seq`` there is, 0 where there is none.

    Args:
        connection: for reading.
        since: one that there is; files with none beyond it are not looked into.
    """
    return scalar(
        connection, f"SELECT coalesce(max(seq), {since}) FROM raw.records WHERE seq > {since}"
    )


def _find_changed(
    connection: duckdb.DuckDBPyConnection, stream: str, suspects: Sequence[str]
) -> bool:
    """Make ``changed``; return whether any of the batch was stored before, then in ``latest``.

    Where no record was ever stored it looks at the batch itself, which saves copying it.
    """
    any_known = False
    if suspects:
        connection.register("suspects", pa.table({"record_id": pa.array(suspects, pa.string())}))
        connection.execute(_LATEST, [stream])
        connection.unregister("suspects")
        any_known = exists(connection, "FROM latest")
    if any_known:
        connection.execute("CREATE OR REPLACE TEMP TABLE differing AS " + _DIFFERING)
    source = "differing" if any_known else "(SELECT *, false AS was_known FROM batch)"
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW changed AS "
        f"SELECT *, NULL::TIMESTAMPTZ AS deleted_at FROM {source}"
    )
    return any_known


_LATEST = """
    CREATE OR REPLACE TEMP TABLE latest AS
    SELECT record_id, max_by(payload_hash, seq) AS payload_hash, max_by(op, seq) AS op,
        max_by(parent_id, seq) AS parent_id
    FROM raw.records
    WHERE stream = ? AND record_id IN (SELECT record_id FROM suspects)
    GROUP BY record_id
"""
_DIFFERING = """
    SELECT b.*, l.record_id IS NOT NULL AS was_known
    FROM batch b LEFT JOIN latest l ON l.record_id = b.record_id
    WHERE l.record_id IS NULL OR l.op = 'tombstone' OR l.payload_hash <> b.payload_hash
        OR l.parent_id IS DISTINCT FROM b.parent_id
"""
_APPEND = """
    INSERT INTO raw.records BY NAME
    SELECT $stream AS stream, record_id, parent_id, $top + row_number() OVER () AS seq,
        'upsert' AS op, payload, payload_hash, scan_id, now() AS fetched_at
    FROM changed
"""
