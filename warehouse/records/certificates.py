"""What a batch leaves in ``ops.scans``: the certificates of the scans that ended with it."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from hatif.sink import Batch


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
