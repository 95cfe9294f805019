"""Which stored records did a certified scan not meet? Candidates for deletion, no more."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.certificate import Certificate
from hatif.sink import Missing


def reconcile(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    ended: Sequence[Certificate],
    sightings: pa.Table,
    *,
    trivial: bool,
) -> list[Missing]:
    """Find the live records that certified scans of their lists did not meet.

    Sightings from earlier batches wait in ``ops.sightings``.

    Args:
        connection: inside a transaction.
        stream: whose lists they are.
        ended: the scans that end with this batch.
        sightings: columns scan_id, pass, record_id.
        trivial: nothing can be missing, as nothing was stored before.
    """
    if not ended or trivial:
        return []
    connection.register("sighted", sightings)
    connection.register(
        "ended",
        pa.table(
            {
                "scan_id": pa.array([c.scan_id for c in ended], pa.string()),
                "parent_id": pa.array([c.parent_id for c in ended], pa.string()),
                "passes": pa.array([c.passes for c in ended], pa.int32()),
                "certified": pa.array([c.verdict.certified and c.whole for c in ended], pa.bool_()),
            }
        ),
    )
    rows = connection.execute(_MISSING, {"stream": stream}).fetchall()
    connection.unregister("sighted")
    connection.unregister("ended")
    return [Missing(record_id, parent_id) for record_id, parent_id in rows]


_MISSING = """
    WITH met AS (
        SELECT record_id FROM (
            SELECT scan_id, pass, record_id FROM sighted UNION ALL FROM ops.sightings
        ) JOIN ended e USING (scan_id)
        WHERE pass = e.passes
    ), listed AS (
        SELECT DISTINCT record_id FROM raw.records
        WHERE stream = $stream AND (
            parent_id IN (SELECT parent_id FROM ended WHERE certified)
            OR (parent_id IS NULL AND (SELECT bool_or(certified AND parent_id IS NULL) FROM ended))
        )
    ), stored AS (
        SELECT record_id, max_by(parent_id, seq) AS parent_id, max_by(op, seq) AS op
        FROM raw.records
        WHERE stream = $stream AND record_id IN (FROM listed)
        GROUP BY record_id
    )
    SELECT record_id, parent_id FROM stored
    WHERE op <> 'tombstone' AND record_id NOT IN (FROM met)
        AND (parent_id IS NULL OR parent_id IN (SELECT parent_id FROM ended WHERE certified))
    ORDER BY record_id
"""
