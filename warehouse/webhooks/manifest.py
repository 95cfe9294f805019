"""The manifest of webhook files, ``ops.webhook_files``: which are new, how far each was read.

A row is a path and the hash of what was read of it. A file that grew keeps its row, moved on; one
that was replaced gets another. Size, identity and change stamp only show which files are worth
opening; the hash shows what became of them. Rejects of what is read again and is not bad any more
are closed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import duckdb
import pyarrow as pa

from hatif.webhooks.reasons import Reason
from hatif.webhooks.sources import Found, Place
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, literal

_AT_ONCE = 10_000
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("content_hash", pa.string()),
        ("bytes_read", pa.int64()),
        ("lines", pa.int64()),
        ("accepted", pa.int64()),
        ("rejected", pa.int64()),
        ("size", pa.int64()),
        ("file_id", pa.string()),
        ("changed", pa.int64()),
        ("is_unfinished", pa.bool_()),
    ]
)


_COLUMNS = ", ".join(_SCHEMA.names)
#: SQL: the latest row of each path.
LATEST = (
    f"SELECT {_COLUMNS} FROM ops.webhook_files "
    "QUALIFY row_number() OVER (PARTITION BY path ORDER BY ingested_at DESC) = 1"
)
# Listed files that are not as their latest row has them, with that row; one that has none under its
# path may have one under another, by its identity.
_DIFFERING = f"""
    WITH latest AS ({LATEST}), by_id AS (
        SELECT DISTINCT ON (file_id) * FROM latest
    )
    SELECT l.position, CASE WHEN k.path IS NULL THEN i ELSE k END
    FROM listing l
    LEFT JOIN latest k ON k.path = l.path
    LEFT JOIN by_id i ON i.file_id = l.file_id
    WHERE k.path IS NULL OR k.size IS DISTINCT FROM l.size
        OR k.file_id IS DISTINCT FROM l.file_id OR k.changed IS DISTINCT FROM l.changed
        OR (k.is_unfinished AND l.is_at_rest)
        OR k.is_unfinished IS NULL
    ORDER BY l.position
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the manifest.

    Attributes:
        bytes_read: so many from the beginning, of which `content_hash` is the SHA-256.
        lines: bodies in them, accepted and rejected.
        size: of the file as listed when it had been read; None while it is being read.
        file_id: see `Found`.
        changed: see `Found`.
        is_unfinished: the rest ends too early and is not set aside yet; NULL where a version read
            the file that did not look for that.
    """

    path: str
    content_hash: str
    bytes_read: int
    lines: int
    accepted: int
    rejected: int
    size: int | None
    file_id: str | None
    changed: int | None
    is_unfinished: bool | None = None

    @property
    def is_of_an_older_version(self) -> bool:
        """Whether a version read the file that read some bodies, and receive times, otherwise."""
        return self.is_unfinished is None

    def seen_as(self, found: Found) -> Entry:
        """Return the entry of the same content for a file as it is listed now."""
        return replace(
            self, path=found.path, size=found.size, file_id=found.file_id, changed=found.changed
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that is not as the manifest has it; `known` is what it may go on from."""

    found: Found
    known: Entry | None

    @property
    def is_renamed(self) -> bool:
        """Whether what it may go on from was read under another path."""
        return self.known is not None and self.known.path != self.found.path


def pending(
    connection: duckdb.DuckDBPyConnection, files: Iterable[Found]
) -> Iterator[list[Pending]]:
    """Yield the files that are new or look different, some thousand listed ones at a time."""
    listing = iter(files)
    while some := list(itertools.islice(listing, _AT_ONCE)):
        connection.register("listing", _listing(some))
        rows = connection.execute(_DIFFERING).fetchall()
        connection.unregister("listing")
        yield [
            Pending(some[position], Entry(**known) if known and known["path"] else None)
            for position, known in rows
        ]


def _listing(some: list[Found]) -> pa.Table:
    now = time.time_ns()
    return pa.table(
        {
            "position": pa.array(range(len(some)), pa.int64()),
            "path": pa.array([found.path for found in some], pa.string()),
            "size": pa.array([found.size for found in some], pa.int64()),
            "file_id": pa.array([found.file_id for found in some], pa.string()),
            "changed": pa.array([found.changed for found in some], pa.int64()),
            "is_at_rest": pa.array([found.is_at_rest(now) for found in some], pa.bool_()),
        }
    )


def record(
    connection: duckdb.DuckDBPyConnection, entries: list[Entry], former: list[Entry]
) -> None:
    """Write entries in place of those that they carry on; run inside a transaction."""
    if not entries:
        return
    rows = [{name: getattr(entry, name) for name in _SCHEMA.names} for entry in entries]
    # An entry written before, perhaps by a run that was cut off, is not written beside itself.
    old = [(entry.path, entry.content_hash) for entry in (*former, *entries)]
    connection.register("entries", pa.Table.from_pylist(rows, schema=_SCHEMA))
    connection.register(
        "former",
        pa.table({"path": [path for path, _ in old], "content_hash": [it for _, it in old]}),
    )
    there = "(path, content_hash) IN (SELECT (path, content_hash) FROM former)"
    if exists(connection, f"FROM ops.webhook_files WHERE {there}"):
        connection.execute(f"DELETE FROM ops.webhook_files WHERE {there}")
    connection.execute(
        "INSERT INTO ops.webhook_files BY NAME SELECT *, now() AS ingested_at FROM entries"
    )
    connection.unregister("former")
    connection.unregister("entries")


class Reread(NamedTuple):
    """A part of a file: what was set aside of it before is closed, unless it is bad again.

    Attributes:
        after: number of the last body before it.
        to: number of its last body; None where it is all the rest of the file, and the file itself.
    """

    after: int = 0
    to: int | None = None


def close_places(lake: Lake, place: Place) -> None:
    """Close the rejects of folders and links that can be read again; files close theirs."""
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT reject_id, location FROM ops.rejects WHERE source = 'webhook' "
            f"AND replayed_at IS NULL AND reason IN ('{Reason.UNREADABLE}', '{Reason.OUTSIDE}')"
        ).fetchall()
    ids = [reject_id for reject_id, location in rows if place.is_put_right(location)]
    if ids:
        which = f"reject_id IN ({', '.join(map(literal, ids))})"
        lake.write("settle rejects", lambda connection: rejects.settle(connection, which))


#: SQL: the number of the body within its file, and the path without it, from a reject's location.
_NUMBER = "TRY_CAST(regexp_extract(location, ':([0-9]+)$', 1) AS BIGINT)"
PATH = "regexp_replace(location, ':[0-9]+$', '')"
_REREAD = pa.schema([("path", pa.string()), ("after", pa.int64()), ("upto", pa.int64())])


def move_rejects(connection: duckdb.DuckDBPyConnection, moved: Mapping[str, str]) -> None:
    """Let the rejects of files that have another path now, given by their former one, name it."""
    if not moved:
        return
    connection.register("moved", pa.table({"old": [*moved], "new": [*moved.values()]}))
    is_theirs = f"source = 'webhook' AND old IN (location, {PATH})"
    if exists(connection, f"FROM ops.rejects JOIN moved ON {is_theirs}"):
        connection.execute(
            "UPDATE ops.rejects SET location = new || substr(location, length(old) + 1) "
            f"FROM moved WHERE {is_theirs}"
        )
    connection.unregister("moved")


def close_reread(connection: duckdb.DuckDBPyConnection, reread: Mapping[str, Reread]) -> None:
    """Close what was set aside of files that are read anew; what is still bad opens again."""
    openly = "source = 'webhook' AND replayed_at IS NULL"
    if not reread or not exists(connection, f"FROM ops.rejects WHERE {openly}"):
        return
    parts = [{"path": path, "after": part.after, "upto": part.to} for path, part in reread.items()]
    connection.register("reread", pa.Table.from_pylist(parts, schema=_REREAD))
    rejects.settle(
        connection,
        "source = 'webhook' AND (location IN (SELECT path FROM reread WHERE upto IS NULL) "
        f"OR EXISTS (FROM reread WHERE path = {PATH} AND after < {_NUMBER} "
        f"AND (upto IS NULL OR {_NUMBER} <= upto)))",
    )
    connection.unregister("reread")
