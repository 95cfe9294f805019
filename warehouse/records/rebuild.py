"""``core`` again from ``raw`` alone: the same SQL files, the same rows, whatever batches came how.

One transaction a stream, so a reader sees a stream's tables as they were or as they are; payloads
are read in the order they were stored, a bounded number at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import duckdb

from hatif.streams import STREAMS
from warehouse.lake import invalidation
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists
from warehouse.models.model import models_of, table_of
from warehouse.records import core_tables
from warehouse.settings.environment import Settings

_ROWS_AT_ONCE = 250_000

#: Of records that raw has more than one version of: each version, whether it has the last content,
#: and where the record's list is now and since when it is gone. Of all others raw has the one row
#: that counts. Versions are named by their number, which is cheaper to join than an id.
_JUDGED = """
    CREATE OR REPLACE TEMP TABLE judged AS
    WITH again AS (
        SELECT hash(record_id) AS hash FROM raw.records WHERE stream = '{stream}'
        GROUP BY hash HAVING count(*) > 1
    ), versions AS (
        SELECT record_id, seq, op, parent_id, fetched_at FROM raw.records
        WHERE stream = '{stream}' AND hash(record_id) IN (FROM again)
    ), latest AS (
        SELECT
            record_id,
            max(seq) FILTER (op = 'upsert') AS seq,
            max_by(parent_id, seq) AS parent_id,
            CASE WHEN max_by(op, seq) = 'tombstone' THEN max_by(fetched_at, seq) END AS deleted_at
        FROM versions GROUP BY record_id
    )
    SELECT v.seq, v.seq = l.seq AS is_last, l.parent_id, l.deleted_at
    FROM versions v JOIN latest l USING (record_id)
"""
_CHANGED = """
    CREATE OR REPLACE TEMP VIEW changed AS
    SELECT
        r.record_id,
        CASE WHEN j.seq IS NULL THEN r.parent_id ELSE j.parent_id END AS parent_id,
        r.payload,
        j.deleted_at
    FROM raw.records r
    LEFT JOIN (FROM judged WHERE seq BETWEEN {first} AND {last}) j ON j.seq = r.seq
    WHERE r.stream = '{stream}' AND r.seq BETWEEN {first} AND {last}
        AND (j.seq IS NULL OR j.is_last)
"""


def open_lake(settings: Settings) -> Lake:
    """Open the lake for a rebuild: alone at work, it may take more of the machine."""
    return Lake(settings, memory="600MB", threads=2)


def rebuild(lake: Lake, told: Callable[[str, int], None]) -> dict[str, int]:
    """Make every core table that follows a stream anew from ``raw.records``.

    Args:
        lake: open for writing.
        told: called with a stream's name and how many records it has, as each is done.

    Returns:
        Records by stream.
    """
    counts = {}
    for stream in STREAMS:
        counts[stream] = lake.write(f"rebuild {stream}", partial(_rebuild, stream=stream))
        told(stream, counts[stream])
    return counts


def _rebuild(connection: duckdb.DuckDBPyConnection, stream: str) -> int:
    tables = [model for model in models_of(stream) if not model.is_view]
    for model in tables:
        if exists(connection, f"FROM {model.table}"):
            connection.execute(f"TRUNCATE {model.table}")
    first, last = connection.execute(
        f"SELECT min(seq), max(seq) FROM raw.records WHERE stream = '{stream}'"
    ).fetchone() or (None, None)
    if first is None:
        return 0
    connection.execute(_JUDGED.format(stream=stream))
    for begin in range(first, last + 1, _ROWS_AT_ONCE):
        connection.execute(
            _CHANGED.format(stream=stream, first=begin, last=begin + _ROWS_AT_ONCE - 1)
        )
        for model in tables:
            core_tables.insert(connection, model)
    records = f"(SELECT record_id, parent_id FROM raw.records WHERE stream = '{stream}')"
    invalidation.mark_records(connection, stream, records)
    counted = connection.execute(f"SELECT count(*) FROM {table_of(stream)}").fetchone()
    return int(counted[0]) if counted else 0
