"""What scans leave beside their records: certificates, positions, and what they did not meet.

A scan that ends leaves its certificate in ``ops.scans``, and the stored records that it did not
meet are candidates for deletion, no more (`find_missing`). A long list is read over several
batches, or several runs where a run's allowance is short: each batch leaves the positions of scans
that go on (``ops.unfinished_scans``), and the ids that they met (``ops.sightings``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from hatif.sink import Batch, Certificate, Missing, Position, Unfinished
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists

#: A position older than this is no use: too much of what was seen may have changed since.
_KEEPS = timedelta(hours=24)
_WAITING = "FROM ops.unfinished_scans"  # seldom any


def keep(
    connection: duckdb.DuckDBPyConnection,
    batch: Batch,
    sightings: pa.Table,
    run_id: str,
    *,
    any_waiting: bool,
) -> bool:
    """Keep what the scans of a batch leave: certificates of those that ended, positions of others.

    Args:
        connection: inside the batch's transaction.
        batch: whose scans they are.
        sightings: columns scan_id, pass, record_id.
        run_id: of this run.
        any_waiting: positions may be kept from earlier batches.

    Returns:
        Whether positions were kept.
    """
    any_kept = _keep_positions(connection, batch, sightings, any_waiting=any_waiting)
    if not batch.ended:
        return any_kept
    ended = batch.ended
    table = pa.table(
        {
            "scan_id": [c.scan_id for c in ended],
            "run_id": [run_id] * len(ended),
            "stream": [c.stream for c in ended],
            "parent_id": pa.array([c.parent_id for c in ended], pa.string()),
            "mode": [c.mode for c in ended],
            "reason": [c.reason for c in ended],
            "whole": [c.whole for c in ended],
            "started_at": [c.started_at for c in ended],
            "finished_at": [c.finished_at for c in ended],
            "requests": [c.requests for c in ended],
            "rows_read": [c.rows_read for c in ended],
            "distinct_ids": [c.distinct_ids for c in ended],
            "total_before": pa.array([c.total_before for c in ended], pa.int64()),
            "total_after": pa.array([c.total_after for c in ended], pa.int64()),
            "passes": [c.passes for c in ended],
            "page_size": pa.array([c.page_size for c in ended], pa.int64()),
            "verdict": [c.verdict.value for c in ended],
            "note": pa.array([c.note for c in ended], pa.string()),
            "time_offset_minutes": pa.array([batch.time_offset_minutes] * len(ended), pa.int64()),
        }
    )
    connection.register("certificates", table)
    connection.execute("INSERT INTO ops.scans BY NAME FROM certificates")
    connection.unregister("certificates")
    return any_kept


def withdraw(
    connection: duckdb.DuckDBPyConnection, stream: str, missing: Sequence[Missing], run_id: str
) -> None:
    """Make the certificates of lists `unproven` that lack what only a later run can prove gone.

    Args:
        connection: inside a transaction.
        stream: whose lists they are.
        missing: stored records that the lists lack.
        run_id: of the run that read the lists.
    """
    lacking = Counter(one.parent_id for one in missing)
    text = pa.string()
    table = pa.table(
        {
            "parent_id": pa.array(list(lacking), text),
            "note": pa.array([_lacks(count) for count in lacking.values()], text),
        }
    )
    connection.register("doubted", table)
    connection.execute(
        "UPDATE ops.scans SET verdict = 'unproven', note = doubted.note FROM doubted "
        "WHERE scans.parent_id IS NOT DISTINCT FROM doubted.parent_id AND scans.stream = $stream "
        "AND run_id = $run_id AND whole AND verdict IN ('complete', 'repaired')",
        {"stream": stream, "run_id": run_id},
    )
    connection.unregister("doubted")


def _lacks(count: int) -> str:
    records = "1 stored record is" if count == 1 else f"{count:,} stored records are"
    return f"{records} not in the answer; a later run shows whether the service deleted them"


def _keep_positions(
    connection: duckdb.DuckDBPyConnection, batch: Batch, sightings: pa.Table, *, any_waiting: bool
) -> bool:
    """Keep the positions of scans that have pages in the batch but go on; forget the ended ones."""
    over = {certificate.scan_id for certificate in batch.ended}
    going_on = {
        scanned.certificate.scan_id: scanned
        for scanned in batch.pages
        if scanned.certificate.scan_id not in over
    }
    if any_waiting:
        _forget_positions(connection, batch.ended)
    if not going_on:
        return False
    table = pa.table(
        {
            "scan_id": list(going_on),
            "stream": [s.certificate.stream for s in going_on.values()],
            "parent_id": pa.array(
                [s.certificate.parent_id for s in going_on.values()], pa.string()
            ),
            "certificate": [_json(s.certificate) for s in going_on.values()],
            "position": [_json(s.position) for s in going_on.values()],
        }
    )
    connection.register("going_on", table)
    connection.register("sighted", sightings)
    connection.execute(
        "DELETE FROM ops.unfinished_scans WHERE scan_id IN (SELECT scan_id FROM going_on)"
    )
    connection.execute(
        "INSERT INTO ops.unfinished_scans BY NAME SELECT *, now() AS updated_at FROM going_on"
    )
    connection.execute(
        "INSERT INTO ops.sightings SELECT scan_id, pass, record_id FROM sighted "
        "WHERE scan_id IN (SELECT scan_id FROM going_on)"
    )
    connection.unregister("sighted")
    connection.unregister("going_on")
    return True


def _forget_positions(connection: duckdb.DuckDBPyConnection, ended: Sequence[Certificate]) -> None:
    """Forget the lists whose scans ended, and other scans of these lists that never did."""
    if not ended or not exists(connection, _WAITING):
        return
    connection.register(
        "ended",
        pa.table(
            {
                "stream": [c.stream for c in ended],
                "parent_id": pa.array([c.parent_id for c in ended], pa.string()),
            }
        ),
    )
    connection.execute(
        "DELETE FROM ops.unfinished_scans u WHERE EXISTS (FROM ended e WHERE e.stream = u.stream "
        "AND e.parent_id IS NOT DISTINCT FROM u.parent_id)"
    )
    connection.execute(
        "DELETE FROM ops.sightings WHERE scan_id NOT IN (SELECT scan_id FROM ops.unfinished_scans)"
    )
    connection.unregister("ended")


def any_unfinished(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether any scan waits to be gone on with."""
    return exists(connection, _WAITING)


def unfinished(lake: Lake, stream: str) -> dict[str | None, Unfinished]:
    """Return the scans of a stream that earlier runs did not end, by parent."""
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT parent_id, certificate, position FROM ops.unfinished_scans "
            "WHERE stream = $stream AND updated_at BETWEEN now() - to_seconds($keeps) "
            "AND now() + to_seconds($keeps) ORDER BY updated_at",
            {"stream": stream, "keeps": _KEEPS.total_seconds()},
        ).fetchall()
    found: dict[str | None, Unfinished] = {}
    for parent, certificate, position in rows:
        scan = msgspec.json.decode(certificate, type=Certificate)

        def seen(number: int, scan_id: str = scan.scan_id) -> list[str]:
            return _seen(lake, scan_id, number)

        found[parent] = Unfinished(scan, msgspec.json.decode(position, type=Position), seen)
    return found


def _seen(lake: Lake, scan_id: str, number: int) -> list[str]:
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT record_id FROM ops.sightings WHERE scan_id = ? AND pass = ?", [scan_id, number]
        ).fetchall()
    return [record_id for (record_id,) in rows]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def find_missing(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    ended: Sequence[Certificate],
    sightings: pa.Table,
    *,
    trivial: bool,
    any_waiting: bool,
) -> list[Missing]:
    """Find the live records that certified scans of their lists did not meet.

    Sightings from earlier batches wait in ``ops.sightings``.

    Args:
        connection: inside a transaction.
        stream: whose lists they are.
        ended: the scans that end with this batch.
        sightings: columns scan_id, pass, record_id.
        trivial: nothing can be missing, as nothing was stored before.
        any_waiting: some of the scans may have begun in an earlier batch.
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
    earlier = "UNION ALL FROM ops.sightings" if any_waiting else ""
    connection.execute(_UNMET.format(earlier=earlier), {"stream": stream})
    rows = []
    if exists(connection, "FROM unmet"):
        rows = connection.execute(_MISSING, {"stream": stream}).fetchall()
    connection.unregister("sighted")
    connection.unregister("ended")
    return [Missing(record_id, parent_id) for record_id, parent_id in rows]


#: Records that were ever on a list of which a certified scan did not meet them; seldom any.
_UNMET = """
    CREATE OR REPLACE TEMP TABLE unmet AS
    WITH met AS (
        SELECT record_id FROM (SELECT scan_id, pass, record_id FROM sighted {earlier})
        JOIN ended e USING (scan_id) WHERE pass = e.passes
    )
    SELECT DISTINCT record_id FROM raw.records
    WHERE stream = $stream AND record_id NOT IN (FROM met) AND (
        parent_id IN (SELECT parent_id FROM ended WHERE certified)
        OR (parent_id IS NULL AND (SELECT bool_or(certified AND parent_id IS NULL) FROM ended))
    )
"""
_MISSING = """
    SELECT record_id, parent_id FROM (
        SELECT record_id, max_by(parent_id, seq) AS parent_id, max_by(op, seq) AS op
        FROM raw.records
        WHERE stream = $stream AND record_id IN (FROM unmet)
        GROUP BY record_id
    )
    WHERE op <> 'tombstone'
        AND (parent_id IS NULL OR parent_id IN (SELECT parent_id FROM ended WHERE certified))
    ORDER BY record_id
"""
