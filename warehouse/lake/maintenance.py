"""Nightly maintenance: fewer and larger files, no snapshots or notes that nobody needs any more.

Each step is a transaction of its own under the write lock, so syncs go on in between, and whatever
is interrupted is done the next night.

What an open read transaction may use is neither expired nor removed before it is a day old. Rows
that move, out of the catalog or into a merged file, would be missing from it at once and without an
error (DuckLake 1.0 on DuckDB 1.5.5, tried): so they move only while nobody has the lake open for
reading (`Lake` shares a lock), or the next night. Programs that know nothing of this lock should
ask in single statements, which are over too soon to meet that, and leave no transaction open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb

from hatif.errors import Busy
from warehouse.lake.connection import READERS, Lake
from warehouse.lake.locks import exclusive
from warehouse.lake.sql import seconds
from warehouse.settings.environment import Settings

KEEP = timedelta(days=30)
#: Younger snapshots are all kept; of older ones the last of each day.
_EVERY_SNAPSHOT = timedelta(days=2)
#: Dates are all that DuckLake compares in an SQLite catalog: two days are one at least.
_REMOVE_AFTER = "now() - INTERVAL 2 DAYS"
#: Merged files grow to this: sorting one takes a bounded amount of memory.
_FILE_SIZE = "64MB"
#: Small files merged in one transaction.
_FILES_AT_ONCE = 200
_POLL = 0.1  # seconds
#: Files with fewer deleted rows than this share are left as they are.
_DELETED_SHARE = 0.1


@dataclass(slots=True)
class MaintenanceReport:
    """What maintenance did.

    Attributes:
        files_before, files_after: in the lake's directory; None where it is no local one.
        bytes_before, bytes_after: the same, in bytes.
        steps_put_off: steps left for the next night, since somebody was reading.
        rows_flushed: rows moved out of the catalog.
        files_merged: small files that became part of larger ones.
        files_rewritten: files written anew without their deleted rows.
        files_removed: files that no snapshot needed any more.
        orphans_removed: files of transactions that were never committed.
        snapshots_expired: states of the lake that can no longer be looked at.
        snapshots_left: those that can.
        scans_pruned: certificates that nothing refers to any more.
        hints_pruned: hints about conversations that never came.
        seconds: in all.
    """

    files_before: int | None = None
    files_after: int | None = None
    bytes_before: int | None = None
    bytes_after: int | None = None
    steps_put_off: int = 0
    rows_flushed: int = 0
    files_merged: int = 0
    files_rewritten: int = 0
    files_removed: int = 0
    orphans_removed: int = 0
    snapshots_expired: int = 0
    snapshots_left: int = 0
    scans_pruned: int = 0
    hints_pruned: int = 0
    seconds: float = 0.0

    def as_numbers(self) -> dict[str, int | float]:
        """Return what is known, by name."""
        return {name: number for name, number in asdict(self).items() if number is not None}


def maintain(
    lake: Lake, settings: Settings, *, keep: timedelta = KEEP, patience: float = 30.0
) -> MaintenanceReport:
    """Do all of it.

    Args:
        lake: open for writing.
        settings: where its files lie.
        keep: how long snapshots, certificates and hints are kept.
        patience: seconds to wait for those who read, at each step.

    Raises:
        WarehouseError: DuckDB refused a step; those before it stay done.
    """
    began = time.monotonic()
    freed = MaintenanceReport()
    freed.files_before, freed.bytes_before = _measure(settings.lake_path)
    days = seconds(keep)
    freed.scans_pruned = lake.write("prune scans", lambda c: _one(c, _PRUNE_SCANS.format(days)))
    freed.hints_pruned = lake.write("prune hints", lambda c: _one(c, _PRUNE_HINTS.format(days)))
    lake.write("set the size of files", _set_file_size)
    _compact(lake, freed, patience)
    freed.snapshots_expired = lake.write("expire snapshots", lambda c: _expire(c, days))
    freed.files_removed = lake.write("remove old files", _remove("cleanup_old_files"))
    freed.orphans_removed = lake.write("remove orphans", _remove("delete_orphaned_files"))
    with lake.reading() as connection:
        freed.snapshots_left = _one(connection, "SELECT count(*) FROM wh.snapshots()")
    freed.files_after, freed.bytes_after = _measure(settings.lake_path)
    freed.seconds = round(time.monotonic() - began, 3)
    return freed


#: A certificate is kept while it is its list's newest, or a stored version names it.
_PRUNE_SCANS = """
    DELETE FROM ops.scans WHERE finished_at < now() - {}
        AND scan_id NOT IN (SELECT scan_id FROM raw.records WHERE scan_id IS NOT NULL)
        AND scan_id NOT IN (
            SELECT max_by(scan_id, started_at) FROM ops.scans GROUP BY stream, parent_id
        )
"""
_PRUNE_HINTS = """
    DELETE FROM ops.hints WHERE hinted_at < now() - {}
        AND parent_id NOT IN (SELECT conversation_id FROM core.conversations)
"""
_SPENT = """
    SELECT snapshot_id FROM wh.snapshots()
    WHERE snapshot_id <> (SELECT max(snapshot_id) FROM wh.snapshots()) AND (
        snapshot_time < now() - {keep}
        OR snapshot_time < now() - {every} AND snapshot_id NOT IN (
            SELECT max(snapshot_id) FROM wh.snapshots() GROUP BY snapshot_time::DATE
        )
    )
    ORDER BY snapshot_id
"""


def _tables(lake: Lake) -> list[tuple[str, str]]:
    """Return the tables with files to merge or to write anew."""
    with lake.reading() as connection:
        return connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'wh' "
            "AND table_name IN (SELECT table_name FROM ducklake_table_info('wh') "
            "WHERE file_count > 1 OR delete_file_count > 0) ORDER BY ALL"
        ).fetchall()


def _set_file_size(connection: duckdb.DuckDBPyConnection) -> None:
    set_to = connection.execute(
        "SELECT value FROM wh.options() WHERE option_name = 'target_file_size' AND scope = 'GLOBAL'"
    ).fetchone()
    if set_to is None:
        connection.execute(f"CALL wh.set_option('target_file_size', '{_FILE_SIZE}')")


def _compact(lake: Lake, freed: MaintenanceReport, patience: float) -> None:
    """Take every step that moves rows, as long as nobody reads meanwhile."""
    steps = _steps(lake)
    for counted, step in steps:
        deadline = time.monotonic() + patience
        while True:
            try:
                with exclusive(lake.home / READERS, "maintenance", wait=False):
                    setattr(freed, counted, getattr(freed, counted) + step())
                break
            except Busy:
                if time.monotonic() >= deadline:
                    freed.steps_put_off = 1 + sum(1 for _ in steps)
                    return
                time.sleep(_POLL)


def _steps(lake: Lake) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield what is to be done, with the name of what it counts."""
    yield "rows_flushed", partial(_flush, lake)
    for schema, table in _tables(lake):
        yield "files_rewritten", partial(_rewrite, lake, schema, table)
        yield "files_merged", partial(_merge_all, lake, schema, table)


def _flush(lake: Lake) -> int:
    """Move rows that lie in the catalog, because they came in small numbers, into files."""

    def work(connection: duckdb.DuckDBPyConnection) -> int:
        moved = connection.execute("CALL ducklake_flush_inlined_data('wh')").fetchall()
        return sum(rows for _, _, rows in moved)

    return lake.write("move rows out of the catalog", work)


def _rewrite(lake: Lake, schema: str, table: str) -> int:
    """Write files with many deleted rows anew; return how many."""
    return lake.write(
        f"rewrite files of {schema}.{table}",
        lambda connection: _files(
            connection,
            f"CALL ducklake_rewrite_data_files('wh', '{table}', schema => '{schema}', "
            f"delete_threshold => {_DELETED_SHARE})",
        ),
    )


def _merge_all(lake: Lake, schema: str, table: str) -> int:
    """Merge adjacent small files, a bounded number at a time; return how many."""
    call = (
        f"CALL ducklake_merge_adjacent_files('wh', '{table}', schema => '{schema}', "
        f"max_compacted_files => {_FILES_AT_ONCE})"
    )
    total = 0
    while merged := lake.write(f"merge files of {schema}.{table}", lambda c: _files(c, call)):
        total += merged
    return total


def _files(connection: duckdb.DuckDBPyConnection, call: str) -> int:
    return sum(processed for _, _, processed, _ in connection.execute(call).fetchall())


def _expire(connection: duckdb.DuckDBPyConnection, keep: str) -> int:
    every = seconds(_EVERY_SNAPSHOT)
    spent = [
        number for (number,) in connection.execute(_SPENT.format(keep=keep, every=every)).fetchall()
    ]
    if spent:
        connection.execute(f"CALL ducklake_expire_snapshots('wh', versions => {spent})")
    return len(spent)


def _remove(function: str) -> Callable[[duckdb.DuckDBPyConnection], int]:
    call = f"CALL ducklake_{function}('wh', older_than => {_REMOVE_AFTER})"
    return lambda connection: len(connection.execute(call).fetchall())


def _measure(place: str) -> tuple[int | None, int | None]:
    if "://" in place:
        return None, None
    sizes = [file.stat().st_size for file in Path(place).rglob("*.parquet")]
    return len(sizes), sum(sizes)


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
