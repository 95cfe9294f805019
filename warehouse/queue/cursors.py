"""Where each list stands: when it was read, how far, and when it is due again (``ops.cursors``).

A cursor moves in the transaction that stores the rows, and only for a scan that is certified. There
is one for each list that was ever read, and none grows with the rows of its list.

Readings that end without a certificate are counted (``ops.list_retries``). A list that fails is
tried again at the next run, then ever more seldom, and after all others. One that is read but
cannot be proven complete is read as often as a proven one, once it has ended so often enough. A
certified reading forgets all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from hatif.sink import (
    KNOWN_UNPROVEN,
    UNREADABLE_ROW,
    Certificate,
    ListFailure,
    Missing,
    Target,
    Verdict,
)
from hatif.streams import STREAMS
from warehouse import rejects
from warehouse.lake.sql import MOST_SHARED, among, bounds, exists, literal, seconds
from warehouse.models.model import main_model
from warehouse.queue.intervals import brought
from warehouse.queue.steps import steps_of

#: The wait after the second failure in a row (the first costs none); each further one doubles it.
_FIRST_WAIT = timedelta(minutes=30)
_LONGEST_WAIT = timedelta(hours=24)
_DOUBLINGS = 6  # beyond the longest wait
_OF_ALL = "FROM ops.list_retries"
#: SQL for a list that was reported before: its next try is put off, or would prove no more.
IS_KNOWN = f"(retry_at > ended_at OR (verdict = 'unproven' AND times >= {KNOWN_UNPROVEN}))"


def advance(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    ended: Sequence[Certificate],
    missing: Sequence[Missing],
    *,
    unsettled: timedelta,
    full_round: str | None,
    run_began: datetime,
) -> list[Target]:
    """Move the cursors of the lists whose scans ended well; count those that stayed unproven.

    Args:
        connection: inside the transaction, the batch's rows stored.
        stream: whose lists they are.
        ended: the scans that ended with this batch.
        missing: live records that the whole ones among them did not meet.
        unsettled: how long an event that can still change is looked at again.
        full_round: the full sync that the run belongs to.
        run_began: this machine's time when the run began.

    Returns:
        The lists read down to an instant whose count is not what is stored, to be read in full:
        their cursors stay.
    """
    _count_unproven(connection, stream, ended)
    _forget_hints(connection, stream, [c for c in ended if c.verdict is Verdict.UNPROVEN])
    certified = list({c.parent_id: c for c in ended if c.verdict.certified}.values())
    if not certified:
        return []
    connection.register("certified", _table(certified))
    connection.register("lost", pa.table({"parent_id": _text([m.parent_id for m in missing])}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted AS " + _counted(connection, stream),
        {"stream": stream},
    )
    connection.unregister("certified")
    connection.unregister("lost")
    disagreeing = connection.execute(
        "SELECT parent_id, signal FROM counted WHERE NOT whole "
        "AND total IS DISTINCT FROM stored + coalesce(surplus, 0)"
    ).fetchall()
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE advanced AS FROM counted WHERE whole "
        "OR total IS NOT DISTINCT FROM stored + coalesce(surplus, 0)"
    )
    _replace(connection, stream, unsettled, full_round, run_began)
    unread = {parent for parent, _ in disagreeing}
    _forget_hints(connection, stream, [c for c in certified if c.parent_id not in unread])
    return [Target(parent, "check", signal=signal) for parent, signal in disagreeing]


def _forget_hints(
    connection: duckdb.DuckDBPyConnection, stream: str, ended: Sequence[Certificate]
) -> None:
    """Forget the hints at lists that have been read since, proven or not.

    Reading an unproven list again at every run would prove no more, see `_count_unproven`.
    """
    hints = f"FROM ops.hints WHERE stream = '{stream}'"
    if ended and exists(connection, hints):
        connection.register("ended_lists", _table(ended))
        connection.execute(
            f"DELETE {hints} AND EXISTS (FROM ended_lists a "
            "WHERE a.parent_id = hints.parent_id AND (hints.hinted_at <= a.started_at "
            # A hint of tomorrow was noted by a clock that was set back since.
            "OR hints.hinted_at > now() + INTERVAL 1 HOUR) "
            "AND (a.whole OR hints.whole IS NOT TRUE))"
        )
        connection.unregister("ended_lists")


def _counted(connection: duckdb.DuckDBPyConnection, stream: str) -> str:
    """The certificates beside what is stored of their lists, and the cursors as they are."""
    model = main_model(stream)
    alive = "1" if model.reads == "versions" else "count(*) FILTER (deleted_at IS NULL)"
    if model.parent is None:
        stored = f"SELECT NULL::VARCHAR AS parent_id, {alive} AS stored FROM {model.table}"
    else:
        of_lists = among(connection, model.parent, "parent_id", "certified", MOST_SHARED)
        stored = (
            f"SELECT {model.parent} AS parent_id, {alive} AS stored FROM {model.table} "
            f"WHERE {of_lists or 'false'} GROUP BY ALL"
        )
    entry, expected, above = STREAMS[stream], "NULL::BIGINT", ""
    if entry.parent is not None and (entry.parent_count or entry.parent_least):
        parent = main_model(entry.parent)
        expected = entry.parent_least or f"p.{entry.parent_count}"
        above = f"LEFT JOIN {parent.table} p ON p.{parent.replace} = a.parent_id"
    return f"""
        SELECT a.*, coalesce(s.stored, 0) AS stored, c.surplus, c.whole_at, c.round, c.state,
            c.signal AS signal_before, c.gap AS gap_before, c.doubted_at AS doubted_before,
            CASE WHEN {brought(stream)} OR c.changed_at IS NULL THEN a.began_at
                ELSE c.changed_at END AS changed_at,
            {expected} - a.total AS gap_now, c.stream IS NOT NULL AS has_cursor,
            (SELECT count(*) FROM lost WHERE lost.parent_id IS NOT DISTINCT FROM a.parent_id)
                AS lost
        FROM certified a
        LEFT JOIN ({stored}) s ON s.parent_id IS NOT DISTINCT FROM a.parent_id
        LEFT JOIN ops.cursors c
            ON c.stream = $stream AND c.parent_id IS NOT DISTINCT FROM a.parent_id
        {above}
    """


def _replace(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    unsettled: timedelta,
    full_round: str | None,
    run_began: datetime,
) -> None:
    if exists(connection, "FROM advanced WHERE has_cursor"):
        connection.execute(
            "DELETE FROM ops.cursors WHERE stream = $stream AND (parent_id IN "
            "(SELECT parent_id FROM advanced) OR (parent_id IS NULL AND EXISTS "
            "(FROM advanced WHERE parent_id IS NULL)))",
            {"stream": stream},
        )
    connection.execute(
        f"""
        INSERT INTO ops.cursors BY NAME
        SELECT $stream AS stream, a.parent_id, now() AS updated_at, state,
            began_at AS read_at, watermark, coalesce(signal, signal_before) AS signal, d.due_at,
            CASE WHEN whole THEN began_at ELSE whole_at END AS whole_at,
            CASE WHEN whole THEN total - (stored - lost) ELSE surplus END AS surplus,
            CASE WHEN whole THEN $round ELSE round END AS round,
            CASE WHEN whole THEN gap_now ELSE gap_before END AS gap,
            CASE WHEN NOT whole THEN doubted_before WHEN {_DOUBTED} THEN now() END AS doubted_at,
            changed_at
        FROM advanced a LEFT JOIN ({_due(connection, stream, unsettled)}) d USING (parent_id)
        """,
        {"stream": stream, "round": full_round, "run_began": run_began},
    )


#: A list shorter than its parent counts is read again by the next run, unless an earlier run found
#: it to be shorter by as much.
_DOUBTED = "gap_now > 0 AND (gap_now IS DISTINCT FROM gap_before OR doubted_before >= $run_began)"


def counts_agree(stream: str) -> str:
    """Return SQL: whether lists of a stream are mostly as long as their parents say."""
    return (
        "(SELECT count(*) FILTER (gap <= 0) >= count(*) FILTER (gap > 0) "
        f"FROM ops.cursors WHERE stream = '{stream}')"
    )


def _due(connection: duckdb.DuckDBPyConnection, stream: str, unsettled: timedelta) -> str:
    """When the next step of each list's unsettled events falls, NULL where there is none."""
    model = main_model(stream)
    if model.settles is None or model.parent is None:
        return "SELECT NULL::VARCHAR AS parent_id, NULL::TIMESTAMPTZ AS due_at"
    within = bounds(connection, model.parent, "parent_id", "advanced") or "true"
    steps = steps_of("advanced", model, unsettled, within)
    return f"SELECT parent_id, min(step) AS due_at FROM ({steps}) GROUP BY parent_id"


def _table(certificates: Sequence[Certificate]) -> pa.Table:
    instant = pa.timestamp("us", "UTC")
    began = [c.began_at or c.started_at for c in certificates]
    # What is older than the first row was at the beginning has been seen; never the newest row of
    # all, since something may have come in behind it meanwhile.
    marks = [min(b, c.top or b) for b, c in zip(began, certificates, strict=True)]
    return pa.table(
        {
            "parent_id": _text([c.parent_id for c in certificates]),
            "scan_id": _text([c.scan_id for c in certificates]),
            "signal": _text([c.signal for c in certificates]),
            "began_at": pa.array(began, instant),
            "started_at": pa.array([c.started_at for c in certificates], instant),
            "watermark": pa.array(marks, instant),
            "whole": pa.array([c.whole for c in certificates], pa.bool_()),
            "total": pa.array(
                [c.distinct_ids if c.total_after is None else c.total_after for c in certificates],
                pa.int64(),
            ),
        }
    )


def _text(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def note_failed(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    failed: Sequence[ListFailure],
    now: datetime,
) -> None:
    """Count one failure more for each list; run inside a transaction.

    Args:
        connection: inside a transaction.
        stream: whose lists.
        failed: each list once or more, why in words without customer data.
        now: the service's time.
    """
    rows = {one.parent_id: one.message for one in failed}
    wait = (
        f"least({_FIRST_WAIT.total_seconds()} * 2 ** least(times - 2, {_DOUBLINGS}), "
        f"{_LONGEST_WAIT.total_seconds()})"
    )
    retry_at = f"CASE WHEN times < 2 THEN $now ELSE $now + to_seconds({wait}) END"
    _count_once_more(
        connection, stream, Verdict.FAILED, list(rows.items()), [None] * len(rows), retry_at, now
    )


def _count_unproven(
    connection: duckdb.DuckDBPyConnection, stream: str, ended: Sequence[Certificate]
) -> None:
    """Forget lists whose scans are certified and count those that stayed unproven."""
    unproven = {c.parent_id: c for c in ended if c.verdict is Verdict.UNPROVEN}
    if any(c.verdict.certified for c in ended) and exists(
        connection, f"{_OF_ALL} WHERE stream = '{stream}'"
    ):
        proven = {c.parent_id for c in ended if c.verdict.certified} - unproven.keys()
        _forget_retries(connection, stream, list(proven))
        _settle_rows(connection, stream, list(proven))
    if unproven:
        interval = STREAMS[stream].interval or timedelta()
        last = max(c.began_at or c.started_at for c in unproven.values())
        retry_at = (
            f"CASE WHEN times < {KNOWN_UNPROVEN} THEN $now ELSE $now + {seconds(interval)} END"
        )
        rows = [(parent, c.note) for parent, c in unproven.items()]
        signals = [c.signal for c in unproven.values()]
        _count_once_more(connection, stream, Verdict.UNPROVEN, rows, signals, retry_at, last)


def _count_once_more(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    verdict: Verdict,
    rows: Sequence[tuple[str | None, str | None]],
    signals: Sequence[str | None],
    retry_at: str,
    now: datetime,
) -> None:
    text = pa.string()
    table = {
        "parent_id": pa.array([parent for parent, _ in rows], text),
        "message": pa.array([message for _, message in rows], text),
        "signal": pa.array(signals, text),
    }
    connection.register("ended_lists", pa.table(table))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted_retries AS "
        "SELECT e.*, CASE WHEN r.verdict = $verdict THEN r.times ELSE 0 END + 1 AS times "
        "FROM ended_lists e LEFT JOIN ops.list_retries r "
        "ON r.stream = $stream AND r.parent_id IS NOT DISTINCT FROM e.parent_id",
        {"verdict": verdict.value, "stream": stream},
    )
    connection.unregister("ended_lists")
    _forget_retries(connection, stream, [parent for parent, _ in rows])
    connection.execute(
        "INSERT INTO ops.list_retries BY NAME SELECT $stream AS stream, parent_id, "
        "$verdict AS verdict, coalesce(times, 1) AS times, message, signal, $now AS ended_at, "
        f"{retry_at} AS retry_at FROM counted_retries",
        {"stream": stream, "verdict": verdict.value, "now": now},
    )


def _settle_rows(
    connection: duckdb.DuckDBPyConnection, stream: str, parents: Sequence[str | None]
) -> None:
    """Settle the rejects of rows that a list could not deliver: now it has."""
    paths = ", ".join(literal(STREAMS[stream].list_path(parent)) for parent in parents)
    if paths:
        rejects.settle(
            connection,
            f"stream = '{stream}' AND reason = '{UNREADABLE_ROW}' "
            f"AND split_part(location, '?', 1) IN ({paths})",
        )


def _forget_retries(
    connection: duckdb.DuckDBPyConnection, stream: str, parents: Sequence[str | None]
) -> None:
    connection.execute(
        f"DELETE {_OF_ALL} WHERE stream = $stream AND "
        "(list_contains($parents, parent_id) OR (parent_id IS NULL AND $single))",
        {"stream": stream, "parents": [p for p in parents if p], "single": None in parents},
    )


def scheduled(stream: str) -> str:
    """SQL for the lists of a stream that are known to have no certificate: reported before."""
    return f"(SELECT parent_id {_OF_ALL} WHERE stream = '{stream}' AND {IS_KNOWN})"
