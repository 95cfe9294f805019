"""Nightly maintenance: fewer and larger files, no snapshots or notes out of use.

Each step is a transaction of its own under the write lock, so syncs go on in between, and whatever
is interrupted is done the next night.

What an open read transaction may use is neither expired nor removed before it is a day old. Rows
that move, out of the catalog or into a merged file, would be missing from it at once and without an
error: `warehouse.lake.compaction` moves them only while no other process reads.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import duckdb

from warehouse.lake import disk, removal, row_counts
from warehouse.lake.catalog import Catalog
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.marker import is_written_by_us
from warehouse.lake.sql import scalar, seconds

if TYPE_CHECKING:
    from warehouse.lake.bucket import Bucket

KEEP = timedelta(days=30)
#: Younger snapshots are all kept; of older ones the last of each day.
_EVERY_SNAPSHOT = timedelta(days=2)
#: Dates are all that DuckLake compares in an SQLite catalog: two days are one at least.
_REMOVE_AFTER = "now() - INTERVAL 2 DAYS"
#: Merged files grow to this: sorting one takes a bounded amount of memory.
_FILE_SIZE = "64MB"


@dataclass(slots=True)
class MaintenanceReport:
    """What maintenance did.

    Attributes:
        files_before, files_after: in the lake's directory or bucket.
        bytes_before, bytes_after: the same, in bytes.
        put_off: steps left for the next night, with the reason.
        rows_flushed: rows moved out of the catalog.
        files_merged: small files that became part of larger ones.
        files_rewritten: files written anew without their deleted rows.
        files_removed: files that no snapshot needed any more.
        orphans_removed: files of transactions that were never committed.
        snapshots_expired: states of the lake that can no longer be looked at.
        snapshots_left: those that can.
        scans_pruned: certificates that nothing refers to any more.
        hints_pruned: hints about conversations that never came.
        tables_counted: tables whose rows moved; each was scanned, and has as many as it states.
        seconds: in all.
    """

    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    put_off: dict[str, str] = field(default_factory=dict)
    rows_flushed: int = 0
    files_merged: int = 0
    files_rewritten: int = 0
    files_removed: int = 0
    orphans_removed: int = 0
    snapshots_expired: int = 0
    snapshots_left: int = 0
    scans_pruned: int = 0
    hints_pruned: int = 0
    tables_counted: int = 0
    seconds: float = 0.0

    @property
    def steps_put_off(self) -> int:
        """How many steps were left for the next night."""
        return len(self.put_off)

    def as_numbers(self) -> dict[str, int | float]:
        """Return all of it, by name."""
        numbers = asdict(self)
        del numbers["put_off"]
        return numbers | {"steps_put_off": self.steps_put_off}


def maintain(lake: Lake, *, keep: timedelta = KEEP, patience: float = 30.0) -> MaintenanceReport:
    """Do all of it.

    Args:
        lake: open for writing.
        keep: how long snapshots, certificates and hints are kept.
        patience: seconds to wait for those who read, at each step.

    Raises:
        WarehouseError: DuckDB refused a step; those before it stay done.
        RowsDiffer: after rows were moved, a table has other rows than it states. Nothing was
            removed since.
    """
    began = time.monotonic()
    freed = MaintenanceReport()
    freed.files_before, freed.bytes_before = _measure(lake.catalog)
    days = seconds(keep)
    freed.scans_pruned = lake.write("prune scans", lambda c: scalar(c, _PRUNE_SCANS.format(days)))
    freed.hints_pruned = lake.write("prune hints", lambda c: scalar(c, _PRUNE_HINTS.format(days)))
    lake.write("set the size of files", _set_file_size)
    compaction = Compaction(lake, patience)
    compaction.run()
    for counted, number in compaction.counts.items():
        setattr(freed, counted, number)
    freed.put_off = compaction.put_off
    freed.tables_counted = row_counts.require(lake, sorted(compaction.moved))
    freed.snapshots_expired = lake.write("expire snapshots", lambda c: _expire(c, days))
    freed.files_removed = lake.write("remove old files", _remove_old)
    catalog = lake.catalog
    freed.orphans_removed = lake.write("remove orphans", lambda c: _remove_orphans(c, catalog))
    with lake.reading() as connection:
        freed.snapshots_left = scalar(connection, "SELECT count(*) FROM wh.snapshots()")
    freed.files_after, freed.bytes_after = _measure(lake.catalog)
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


#: Below the lake, of tables that there are or were.
_TABLE_FOLDERS = """
    SELECT DISTINCT s.path || t.path FROM __ducklake_metadata_wh.ducklake_table t
    JOIN __ducklake_metadata_wh.ducklake_schema s USING (schema_id)
    WHERE s.path_is_relative AND t.path_is_relative
"""
#: Each file's name is its own: that of none is made twice.
_KNOWN_FILES = """
    SELECT path FROM __ducklake_metadata_wh.ducklake_data_file
    UNION ALL SELECT path FROM __ducklake_metadata_wh.ducklake_delete_file
    UNION ALL SELECT path FROM __ducklake_metadata_wh.ducklake_files_scheduled_for_deletion
"""


def _set_file_size(connection: duckdb.DuckDBPyConnection) -> None:
    set_to = connection.execute(
        "SELECT value FROM wh.options() WHERE option_name = 'target_file_size' AND scope = 'GLOBAL'"
    ).fetchone()
    if set_to is None:
        connection.execute(f"CALL wh.set_option('target_file_size', '{_FILE_SIZE}')")


def _expire(connection: duckdb.DuckDBPyConnection, keep: str) -> int:
    every = seconds(_EVERY_SNAPSHOT)
    spent = [
        number for (number,) in connection.execute(_SPENT.format(keep=keep, every=every)).fetchall()
    ]
    if spent:
        connection.execute(f"CALL ducklake_expire_snapshots('wh', versions => {spent})")
    return len(spent)


def _remove_old(connection: duckdb.DuckDBPyConnection) -> int:
    """Remove files that no snapshot needs; the catalog names them, so they are its own."""
    call = f"CALL ducklake_cleanup_old_files('wh', older_than => {_REMOVE_AFTER})"
    return len(connection.execute(call).fetchall())


def _remove_orphans(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> int:
    """Remove files of transactions that were never committed; return how many.

    Of the files below the lake that the catalog does not know, only those go that bear DuckLake's
    kind of name and lie where it writes the files of a table: whatever else is there, as the lake
    of another home or a copy, is not ours.
    """
    folders = {PurePath(folder) for (folder,) in connection.execute(_TABLE_FOLDERS).fetchall()}
    bucket = catalog.bucket
    unknown = _unknown(connection, catalog) if bucket is None else _unknown_in(connection, bucket)
    orphans = [
        file.as_posix()
        for file in map(PurePath, unknown)
        if is_written_by_us(file.name) and _folder_of_table(file) in folders
    ]
    if bucket is not None:
        removal.remove(bucket, orphans)
        return len(orphans)
    for orphan in orphans:
        Path(catalog.lake_path, orphan).unlink(missing_ok=True)
    return len(orphans)


def _unknown(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> list[str]:
    """Return the Parquet files below a folder that DuckLake does not know."""
    call = (
        f"CALL ducklake_delete_orphaned_files('wh', older_than => {_REMOVE_AFTER}, dry_run => true)"
    )
    below = f"{catalog.lake_path}/"
    names = (name for (name,) in connection.execute(call).fetchall())
    return [name.removeprefix(below) for name in names if name.startswith(below)]


def _unknown_in(connection: duckdb.DuckDBPyConnection, bucket: Bucket) -> list[str]:
    """Return the objects below a prefix whose names the catalog does not know.

    Not DuckLake's own search: an object whose key has a question mark ends that in an error.
    """
    ((before,),) = connection.execute(f"SELECT {_REMOVE_AFTER}").fetchall()
    known = {PurePath(path).name for (path,) in connection.execute(_KNOWN_FILES).fetchall()}
    return [path for path, _ in bucket.files(before) if PurePath(path).name not in known]


def _folder_of_table(file: PurePath) -> PurePath:
    """Return the folder of a table with this file, which may lie in a partition of it."""
    folder = file.parent
    return folder.parent if "=" in folder.name else folder


def _measure(catalog: Catalog) -> tuple[int, int]:
    bucket = catalog.bucket
    if bucket is None:
        return disk.measure(Path(catalog.lake_path), ".parquet")
    sizes = [size for path, size in bucket.files() if path.endswith(".parquet")]
    return len(sizes), sum(sizes)
