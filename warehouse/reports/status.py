"""How the warehouse stands: what `hatif status` and the asset checks show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from hatif.streams import STREAMS
from hatif.webhooks.sources import place_of
from warehouse.acknowledgements import IN_FORCE
from warehouse.lake.sql import scalar
from warehouse.models.model import Model, key_of, table_of
from warehouse.queue.cursors import IS_KNOWN, scheduled
from warehouse.queue.plan import ReadPolicy, reasons_of_all

# Of files that are none of ours so many are named.
_SHOWN = 5
# Of each stream: its lists, those whose newest scan was repaired, those that are certified. A list
# is there while its parent lives; that of a stream without parents is ''.
_CERTIFICATES = f"""
    WITH newest AS (
        SELECT stream, coalesce(parent_id, '') AS parent,
            max_by(verdict, started_at) AS verdict, max_by(run_id, started_at) AS run_id
        FROM ops.scans GROUP BY ALL
    ), known AS (
        SELECT DISTINCT stream, coalesce(parent_id, '') AS parent, true AS is_known
        FROM ops.list_retries WHERE {IS_KNOWN}
    ), waiting AS (
        SELECT stream, coalesce(parent_id, '') AS parent, min(run_id) AS first, max(run_id) AS last
        FROM ops.absences WHERE proof IS NULL GROUP BY ALL
    )
    SELECT stream, count(*), count(*) FILTER (verdict = 'repaired'),
        count(*) FILTER (verdict IN ('complete', 'repaired')
            OR verdict IS NOT NULL AND (is_known OR first <> run_id OR last <> run_id))
    FROM ({{lists}}) LEFT JOIN newest USING (stream, parent) LEFT JOIN known USING (stream, parent)
    LEFT JOIN waiting USING (stream, parent)
    GROUP BY stream
"""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream as stored.

    Attributes:
        rows: records that live.
        deleted: records marked deleted.
        lists: one, or one a living parent.
        uncertified: those never scanned, or whose newest scan proves nothing.
        rejects: records set aside and not replayed.
        backlog: lists that are due now, by reason (see `hatif.sink.Target`).
        next_step_at: when the next event that can still change is looked at again.
    """

    stream: str
    last_success: datetime | None
    cursor: str | None
    rows: int
    deleted: int
    lists: int
    repaired: int
    uncertified: int
    rejects: int
    backlog: dict[str, int]
    next_step_at: datetime | None


def streams(
    connection: duckdb.DuckDBPyConnection, terms: Callable[[str], ReadPolicy]
) -> list[StreamStatus]:
    """Return the state of every stream, in the order of the list of streams.

    Args:
        connection: for reading. Nothing is bound here, see `warehouse.queue.plan`.
        terms: on which a stream's lists are due.
    """
    cursors = {
        stream: (state, updated_at)
        for stream, state, updated_at in connection.execute(
            "SELECT stream, state, updated_at FROM ops.cursors WHERE parent_id IS NULL"
        ).fetchall()
    }
    steps = dict(
        connection.execute("SELECT stream, min(due_at) FROM ops.cursors GROUP BY ALL").fetchall()
    )
    rejects = dict(
        connection.execute(
            "SELECT stream, count(*) FROM ops.rejects WHERE replayed_at IS NULL GROUP BY ALL"
        ).fetchall()
    )
    certified = certificates(connection, list(STREAMS))
    backlogs = reasons_of_all(connection, terms)
    found = []
    for name in STREAMS:
        live, deleted = _rows(connection, name)
        lists, repaired, uncertified = certified[name]
        cursor, last_success = cursors.get(name, (None, None))
        found.append(
            StreamStatus(
                stream=name,
                last_success=last_success,
                cursor=cursor,
                rows=live,
                deleted=deleted,
                lists=lists,
                repaired=repaired,
                uncertified=uncertified,
                rejects=rejects.get(name, 0),
                backlog=backlogs[name],
                next_step_at=steps.get(name),
            )
        )
    return found


def live_rows(connection: duckdb.DuckDBPyConnection, stream: str) -> int:
    """Return how many records of a stream live."""
    return _rows(connection, stream)[0]


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[int, int]:
    table, key = table_of(name), key_of(name)
    if STREAMS[name].whole:
        return scalar(connection, f"SELECT count(DISTINCT {key}) FROM {table}"), 0
    found = connection.execute(
        f"SELECT count(*) FILTER (deleted_at IS NULL), count(deleted_at) FROM {table}"
    ).fetchone()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def certificates(
    connection: duckdb.DuckDBPyConnection, streams: Sequence[str]
) -> dict[str, tuple[int, int, int]]:
    """Return how many lists streams have, how many were repaired, how many are not certified.

    A list never scanned is not certified; one whose parent is gone since is not counted, nor is one
    whose next try is put off (`scheduled_lists`), or whose missing records an earlier run reported.
    """
    lists = " UNION ALL ".join(map(_lists, streams))
    rows = connection.execute(_CERTIFICATES.format(lists=lists)).fetchall()
    found = {
        stream: (number, repaired, number - certified)
        for stream, number, repaired, certified in rows
    }
    return {stream: found.get(stream, (0, 0, 0)) for stream in streams}


def _lists(stream: str) -> str:
    """Return SQL for the lists of a stream."""
    parent = STREAMS[stream].parent
    if parent is None:
        return f"SELECT '{stream}' AS stream, '' AS parent"
    return (
        f"SELECT '{stream}' AS stream, {key_of(parent)} AS parent FROM {table_of(parent)} "
        "WHERE deleted_at IS NULL"
    )


@dataclass(frozen=True, slots=True)
class FirstReading:
    """How far the first reading of timelines has come.

    Attributes:
        unread: conversations whose timeline was never read to its end; those whose list fails are
            in `scheduled_lists`.
        complete_since: nothing that happened later is missing; NULL where none are unread.
    """

    unread: int
    complete_since: datetime | None


def first_reading(connection: duckdb.DuckDBPyConnection) -> FirstReading:
    """Return how far back timelines have been read; the newest are read first."""
    unread, newest = connection.execute(
        f"""
        SELECT count(*), max(last_activity_at) FROM core.conversations
        WHERE deleted_at IS NULL AND conversation_id NOT IN (
            SELECT parent_id FROM ops.cursors
            WHERE stream = 'timelines' AND parent_id IS NOT NULL AND whole_at IS NOT NULL
            UNION ALL SELECT parent_id FROM {scheduled("timelines")} WHERE parent_id IS NOT NULL)
        """
    ).fetchone() or (0, None)
    return FirstReading(int(unread), newest)


def scheduled_lists(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the lists without a certificate that are tried again later, and why, by stream."""
    cursor = connection.execute(
        "SELECT stream, verdict, count(*) AS lists, min(retry_at) AS next_try_at, "
        f"any_value(message) AS message FROM ops.list_retries WHERE {IS_KNOWN} "
        "GROUP BY ALL ORDER BY ALL"
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def duplicates(connection: duckdb.DuckDBPyConnection, model: Model, where: str = "true") -> int:
    """Return how many of a table's rows where this holds share their key, by digests of keys."""
    # NULL is a value of its own, and holds its place.
    key = ", ".join(f"coalesce({column}::VARCHAR, chr(30))" for column in model.grain)
    return scalar(
        connection,
        f"SELECT count(*) - count(DISTINCT md5_number(concat_ws(chr(31), {key}))) "
        f"FROM {model.table} WHERE {where}",
    )


def unacknowledged_rejects(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many rejects wait without an acknowledgement, by stream."""
    rows = connection.execute(
        "SELECT stream, count(*) FROM ops.rejects WHERE replayed_at IS NULL "
        f"AND reject_id NOT IN {IN_FORCE} GROUP BY stream"
    ).fetchall()
    return dict(rows)


def open_rejects(connection: duckdb.DuckDBPyConnection, stream: str | None = None) -> int:
    """Return how many rejects wait, of one stream or of all."""
    return scalar(
        connection,
        "SELECT count(*) FROM ops.rejects WHERE replayed_at IS NULL"
        + (f" AND stream = '{stream}'" if stream else ""),
    )


def table_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return how many rows a table holds."""
    return scalar(connection, f"SELECT count(*) FROM {table}")


def webhook_files(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return how many webhook files were read, and what became of their lines."""
    cursor = connection.execute(
        "SELECT count(*) AS files, coalesce(sum(lines), 0)::BIGINT AS lines, "
        "coalesce(sum(accepted), 0)::BIGINT AS accepted, "
        "coalesce(sum(rejected), 0)::BIGINT AS rejected, max(ingested_at) AS last_read_at "
        "FROM ops.webhook_files"
    )
    names = [column[0] for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchone() or (), strict=True))


def other_files(location: str) -> dict[str, Any]:
    """Return how many files in the webhook folder are none by their name, and the first few.

    Raises:
        BucketUnreachable: they cannot be listed.
    """
    others = place_of(location).others()
    names = list(itertools.islice(others, _SHOWN))
    return {"count": len(names) + sum(1 for _ in others), "first": names}


def last_runs(connection: duckdb.DuckDBPyConnection, limit: int = 5) -> list[dict[str, Any]]:
    """Return the newest runs, newest first."""
    cursor = connection.execute(
        "SELECT run_id, started_at, finished_at, mode, requests, status, error FROM ops.runs "
        f"ORDER BY started_at DESC LIMIT {int(limit)}"
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
