"""The record of runs in ``ops.runs``, and the cursors that a run moves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import duckdb

from warehouse.lake import Lake


def begin(lake: Lake, run_id: str, mode: str) -> None:
    """Note that a run begins; one that never ended is now known to have been interrupted.

    Call it while holding the lock that lets only one run call the service.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "UPDATE ops.runs SET status = 'interrupted', finished_at = now() "
            "WHERE status = 'running'"
        )
        connection.execute(
            "INSERT INTO ops.runs BY NAME SELECT ? AS run_id, now() AS started_at, ? AS mode, "
            "'running' AS status",
            [run_id, mode],
        )

    lake.write("begin a run", work)


def end(lake: Lake, run_id: str, *, requests: int, status: str, error: str | None) -> None:
    """Note how a run ended: `done`, `stopped` or `failed`."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "UPDATE ops.runs SET finished_at = now(), requests = ?, status = ?, error = ? "
            "WHERE run_id = ?",
            [requests, status, error, run_id],
        )

    lake.write("end a run", work)


def move_cursor(lake: Lake, stream: str, state: dict[str, Any]) -> None:
    """Set a stream's cursor; instants in it become ISO text."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "DELETE FROM ops.cursors WHERE stream = ? AND parent_id IS NULL", [stream]
        )
        connection.execute(
            "INSERT INTO ops.cursors VALUES (?, NULL, ?, now())",
            [stream, json.dumps(state, default=_iso)],
        )

    lake.write(f"move the cursor of {stream}", work)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
