"""``core`` again from ``raw`` alone: the same SQL files, the same rows, whatever batches came how.

One transaction a stream: its tables are emptied and filled again, so that a reader, or a run after
one that was killed, sees them as they were or as they are. One that has files is dropped and made,
which does not read them: a file that is lost or cut does not matter. Payloads are read in the order
they were stored, a bounded number at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

import duckdb
import pyarrow as pa

from hatif.streams import STREAMS
from hatif.wire import Reject
from warehouse import rejects
from warehouse.errors import MemoryShort, ValueRefused
from warehouse.lake import invalidation, memory, schema
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import Refused, isolate
from warehouse.lake.locks import REBUILD
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import exists, home_values, scalar
from warehouse.models.model import Model, models_of, table_of
from warehouse.records import core_tables
from warehouse.settings.environment import Settings

_log = logging.getLogger(__name__)
_ROWS_AT_ONCE = 250_000
#: Bytes of payloads at once where rows are so long that the memory did not suffice.
_BYTES_AT_ONCE = 32_000_000
_MEMORY = "400MB"

#: Of records that raw has more than one version of: each version, whether it has the last content,
#: and where the record's list is now and since when it is gone. Of all others raw has the one row
#: that counts. Versions are named by their number, which is cheaper to join than an id.
_LATEST_OF_SEVERAL = """
    CREATE OR REPLACE TEMP TABLE versioned AS
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
    LEFT JOIN (FROM versioned WHERE seq BETWEEN {first} AND {last}) j ON j.seq = r.seq
    WHERE r.stream = '{stream}' AND r.seq BETWEEN {first} AND {last}
        AND (j.seq IS NULL OR j.is_last) {without}
"""


#: Ranges of ``seq`` that hold so many bytes of payloads, and one record more.
_RANGES = """
    SELECT min(seq), max(seq) FROM (
        SELECT seq, coalesce(sum(strlen(payload::VARCHAR)) OVER (ORDER BY seq), 0)
            // {size} AS part
        FROM raw.records WHERE stream = '{stream}'
    ) GROUP BY part ORDER BY part
"""


def open_for_rebuild(settings: Settings) -> AbstractContextManager[Lake]:
    """Open the lake for a rebuild: alone at work, it may take more of the machine.

    Raises:
        HomeError: the home cannot be used.
    """
    return open_lake(settings, memory=_MEMORY, threads=2)


def rebuild(lake: Lake, report: Callable[[str, int], None]) -> dict[str, int]:
    """Make every core table that follows a stream anew from ``raw.records``.

    Args:
        lake: open for writing, tables made.
        report: called with a stream's name and how many records it has, as each is done.

    Returns:
        Records by stream.

    Raises:
        WarehouseError: DuckDB rejected something; the tables of that stream are as they were.
    """
    counts = {}
    with lake.reading() as connection:
        with_files = schema.with_files(connection)
    for stream in STREAMS:
        counts[stream] = _rebuild_isolated(lake, stream, with_files)
        report(stream, counts[stream])
    lake.write("remember the version", schema.remember_typing)
    return counts


def bring_up_to_date(lake: Lake, values: Mapping[str, str]) -> None:
    """Make the core tables again where another version typed them, which read values otherwise.

    Args:
        lake: open for writing.
        values: those of ``ops.home``, as they were just read.

    Raises:
        WarehouseError: as `rebuild`; the next call begins anew.
    """
    if schema.is_typed_by_this_version(values):
        return
    lake.require_own_transactions()
    with lake.store.locks.exclusive(REBUILD, "rebuild"), lake.reading() as connection:
        if schema.is_typed_by_this_version(home_values(connection)):
            return  # another process did it meanwhile
        _log.warning("another version typed the records: core is made again from raw")
        with memory.raised(connection, _MEMORY):
            rebuild(lake, lambda *_: None)


def _rebuild_isolated(lake: Lake, stream: str, with_files: Container[str]) -> int:
    """Rebuild a stream, without the records that DuckDB rejects, which are set aside."""

    def attempt(refused: Sequence[Refused[int]]) -> int:
        work = partial(_rebuild, stream=stream, with_files=with_files, refused=refused)
        try:
            return lake.write(f"rebuild {stream}", work)
        except MemoryShort:
            return lake.write(f"rebuild {stream}", partial(work, by_size=True))

    try:
        return attempt(())
    except ValueRefused:
        refused = _refused(lake, stream)
        if not refused:
            raise
        return attempt(refused)


class _Rehearsed(Exception):
    """Ends a transaction that was only to be tried."""


def _refused(lake: Lake, stream: str) -> list[Refused[int]]:
    """Find the versions that cannot be typed, by their ``seq``, in transactions rolled back."""
    with lake.reading() as connection:
        numbers = [
            seq
            for (seq,) in connection.execute(
                "SELECT max(seq) FROM raw.records WHERE stream = ? AND op = 'upsert' "
                "GROUP BY record_id ORDER BY 1",
                [stream],
            ).fetchall()
        ]

    def attempt(part: Sequence[int]) -> None:
        def work(connection: duckdb.DuckDBPyConnection) -> None:
            connection.register("part", pa.table({"seq": pa.array(part, pa.int64())}))
            connection.execute(
                "CREATE OR REPLACE TEMP VIEW changed AS SELECT record_id, parent_id, payload, "
                "NULL::TIMESTAMPTZ AS deleted_at FROM raw.records "
                f"WHERE stream = '{stream}' AND seq IN (SELECT seq FROM part)"
            )
            for model in _tables(stream):
                core_tables.insert(connection, model)
            raise _Rehearsed

        with suppress(_Rehearsed):
            lake.write(f"rebuild {stream}", work)

    return isolate(numbers, attempt)[1]


def _tables(stream: str) -> list[Model]:
    return [model for model in models_of(stream) if not model.is_view]


def _rebuild(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    with_files: Container[str],
    refused: Sequence[Refused[int]],
    by_size: bool = False,
) -> int:
    for model in _tables(stream):
        _empty(connection, model, has_files=model.name in with_files)
    ranges = _ranges(connection, stream, by_size=by_size)
    if not ranges:
        return 0
    _set_refused_aside(connection, stream, refused)
    connection.execute(_LATEST_OF_SEVERAL.format(stream=stream))
    without = f"AND r.seq NOT IN ({', '.join(str(one.item) for one in refused)})" if refused else ""
    for first, last in ranges:
        connection.execute(_CHANGED.format(stream=stream, first=first, last=last, without=without))
        for model in _tables(stream):
            core_tables.insert(connection, model)
        memory.give_back()
    if any(model.table == core_tables.NOTES for model in _tables(stream)):
        core_tables.share_all_notes_out(connection)
    unreadable = core_tables.remove_unreadable(connection, stream)
    rejects.store_records(
        connection,
        [
            Reject(stream, one.reason, one.payload, _list_of(stream, one.parent_id))
            for one in unreadable
        ],
    )
    records = f"(SELECT record_id, parent_id FROM raw.records WHERE stream = '{stream}')"
    invalidation.mark_records(connection, stream, records)
    return scalar(connection, f"SELECT count(*) FROM {table_of(stream)}")


def _ranges(
    connection: duckdb.DuckDBPyConnection, stream: str, *, by_size: bool
) -> list[tuple[int, int]]:
    """Return the first and last ``seq`` of what is read at a time; none of an empty stream."""
    if by_size:
        return connection.execute(_RANGES.format(stream=stream, size=_BYTES_AT_ONCE)).fetchall()
    first, last = connection.execute(
        f"SELECT min(seq), max(seq) FROM raw.records WHERE stream = '{stream}'"
    ).fetchone() or (None, None)
    if first is None:
        return []
    begins = range(first, last + 1, _ROWS_AT_ONCE)
    return [(begin, begin + _ROWS_AT_ONCE - 1) for begin in begins]


def _empty(connection: duckdb.DuckDBPyConnection, model: Model, *, has_files: bool) -> None:
    """Empty a table; one without files is not made again.

    After a change of the schema each transaction reads the whole catalog anew, 0.1 s.
    """
    if has_files:
        schema.make_again(connection, model)
    elif exists(connection, f"FROM {model.table}"):
        connection.execute(f"DELETE FROM {model.table}")


def _set_refused_aside(
    connection: duckdb.DuckDBPyConnection, stream: str, refused: Sequence[Refused[int]]
) -> None:
    for one in refused:
        found = connection.execute(
            "SELECT payload::VARCHAR, parent_id FROM raw.records WHERE seq = ?", [one.item]
        ).fetchone()
        if found:
            reject = Reject(stream, one.reason, found[0], _list_of(stream, found[1]))
            rejects.store_records(connection, [reject])


def _list_of(stream: str, parent: str | None) -> str:
    return STREAMS[stream].list_path(parent)
