"""The certificates of scans in ``ops.scans``: written with their batch, withdrawn when in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.sink import Batch, Missing


def scans(connection: duckdb.DuckDBPyConnection, batch: Batch, run_id: str) -> None:
    """Write the certificates of the scans that ended with this batch."""
    if not batch.ended:
        return
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
