"""Which tables changed since a snapshot, and whether the files of tables are all there."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

import duckdb

from warehouse.lake.ownership import DELETIONS, FILES

#: What a snapshot did to a table, by its id; whatever else it did concerns the tables there are.
_CHANGE = re.compile(r"([a-z_]+):(\d+)")
#: Those that add no row: deletions, and moves of rows between catalog and files.
WITHOUT_NEW_ROWS = frozenset(
    ("deleted_from_table", "inlined_delete", "inline_flush", "merge_adjacent", "rewrite_delete")
)
_LATER = """
    SELECT snapshot_id, changes_made FROM __ducklake_metadata_wh.ducklake_snapshot_changes
    WHERE snapshot_id > {} ORDER BY snapshot_id
"""
_NAMES = """
    SELECT t.table_id, s.schema_name || '.' || t.table_name
    FROM __ducklake_metadata_wh.ducklake_table t
    JOIN __ducklake_metadata_wh.ducklake_schema s USING (schema_id)
    WHERE t.end_snapshot IS NULL
"""


def snapshot_of(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the snapshot that a transaction reads."""
    ((number,),) = connection.execute("SELECT id FROM wh.current_snapshot()").fetchall()
    return int(number)


def changed_since(
    connection: duckdb.DuckDBPyConnection, snapshot: int, *, but: Set[str] = frozenset()
) -> frozenset[str] | None:
    """Return the tables that later snapshots changed, with their schemas.

    None where that is not known: tables were made or dropped, the snapshots in between are expired,
    or the catalog is an older copy.

    Args:
        connection: inside a transaction, whose snapshot is the last that counts.
        snapshot: the one before.
        but: kinds of changes that do not count, such as `WITHOUT_NEW_ROWS`.
    """
    now = snapshot_of(connection)
    later = connection.execute(_LATER.format(snapshot)).fetchall()
    if [number for number, _ in later if number <= now] != list(range(snapshot + 1, now + 1)):
        return None
    found: set[int] = set()
    for _, changes in later:
        for change in (changes or "").split(","):
            match = _CHANGE.fullmatch(change)
            if match is None:
                return None
            if match[1] not in but:
                found.add(int(match[2]))
    names = dict(connection.execute(_NAMES).fetchall())
    return frozenset(names[number] for number in found) if found <= names.keys() else None


def are_files_there(
    connection: duckdb.DuckDBPyConnection, lake: Path | None, tables: Set[str]
) -> bool:
    """Return whether every file of some tables is there in its full size; False of a bucket."""
    if lake is None:
        return False
    known = connection.execute(
        f"SELECT table_name, path, bytes FROM ({FILES} UNION ALL {DELETIONS})"
    ).fetchall()
    return all(_size(lake / path) == size for table, path, size in known if table in tables)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
