"""How streams stood when last read: the row of each in ``ops.cursors`` that has no parent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

State = Mapping[str, Any]


def read(connection: duckdb.DuckDBPyConnection) -> dict[str, State]:
    """Return what was noted last of each stream; none of one that was never read."""
    rows = connection.execute(
        "SELECT stream, state FROM ops.cursors WHERE parent_id IS NULL AND state IS NOT NULL"
    ).fetchall()
    return {stream: json.loads(state) for stream, state in rows}


def note(connection: duckdb.DuckDBPyConnection, states: Mapping[str, State]) -> None:
    """Note how streams stand, inside a transaction."""
    if not states:
        return
    there = {
        stream
        for (stream,) in connection.execute(
            "SELECT stream FROM ops.cursors WHERE parent_id IS NULL"
        ).fetchall()
    }
    texts = [json.dumps(state) for state in states.values()]
    connection.register("stream_states", pa.table({"stream": list(states), "state": texts}))
    if there & states.keys():
        connection.execute(
            "UPDATE ops.cursors SET state = stream_states.state, updated_at = now() "
            "FROM stream_states WHERE cursors.stream = stream_states.stream AND parent_id IS NULL"
        )
    if states.keys() - there:
        connection.execute(
            "INSERT INTO ops.cursors BY NAME SELECT stream, state::JSON AS state, "
            "now() AS updated_at FROM stream_states WHERE stream NOT IN "
            "(SELECT stream FROM ops.cursors WHERE parent_id IS NULL)"
        )
    connection.unregister("stream_states")
