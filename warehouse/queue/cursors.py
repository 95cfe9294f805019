"""Where each list stands: when it was read, how far, and when it is due again (``ops.cursors``).

A cursor moves in the transaction that stores the rows, and only for a scan that is certified. There
is one for each list that was ever read, and none grows with the rows of its list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from hatif.certificate import Certificate, Verdict
from hatif.sink import Missing
from hatif.streams import STREAMS
from hatif.targets import Target
from warehouse.lake.sql import exists, seconds
from warehouse.models.model import main_model

#: After how long an event that can still change is looked at again.
STEPS = tuple(timedelta(minutes=minutes) for minutes in (15, 60, 360, 1440, 4320))
#: What is later than the service's time by more than this was dated ahead.
AHEAD = timedelta(hours=1)
#: An event dated ahead by less than this is looked at when its time has come.
_FORESEEN = timedelta(days=31)


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
    """Move the cursors of the lists whose scans ended well, in the batch's own transaction.

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
    _forget_hints(connection, stream, [c for c in ended if c.verdict is Verdict.UNPROVEN])
    certified = list({c.parent_id: c for c in ended if c.verdict.certified}.values())
    if not certified:
        return []
    connection.register("certified", _table(certified))
    connection.register("lost", pa.table({"parent_id": _text([m.parent_id for m in missing])}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE counted AS " + _counted(stream), {"stream": stream}
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

    Reading an unproven list again at every run would prove no more, see `list_retries`.
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


def _counted(stream: str) -> str:
    """The certificates beside what is stored of their lists, and the cursors as they are."""
    model = main_model(stream)
    alive = "1" if model.reads == "versions" else "count(*) FILTER (deleted_at IS NULL)"
    if model.parent is None:
        stored = f"SELECT NULL::VARCHAR AS parent_id, {alive} AS stored FROM {model.table}"
    else:
        stored = (
            f"SELECT {model.parent} AS parent_id, {alive} AS stored FROM {model.table} "
            f"WHERE {model.parent} IN (SELECT parent_id FROM certified) GROUP BY ALL"
        )
    entry, expected, above = STREAMS[stream], "NULL::BIGINT", ""
    if entry.parent is not None and (entry.parent_count or entry.parent_least):
        parent = main_model(entry.parent)
        expected = entry.parent_least or f"p.{entry.parent_count}"
        above = f"LEFT JOIN {parent.table} p ON p.{parent.replace} = a.parent_id"
    return f"""
        SELECT a.*, coalesce(s.stored, 0) AS stored, c.surplus, c.whole_at, c.round, c.state,
            c.signal AS signal_before, c.gap AS gap_before, c.doubted_at AS doubted_before,
            {expected} - a.total AS gap_now,
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
            CASE WHEN NOT whole THEN doubted_before WHEN {_DOUBTED} THEN now() END AS doubted_at
        FROM advanced a LEFT JOIN ({_due(stream, unsettled)}) d USING (parent_id)
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


def _due(stream: str, unsettled: timedelta) -> str:
    """When the next step of each list's unsettled events falls, NULL where there is none.

    An event dated ahead (scheduled, or by mistake) ages from its insertion, the instant inside its
    id; so no step falls on a day that cannot be shown, and none is put off to that day.
    """
    model = main_model(stream)
    if model.settles is None or model.parent is None:
        return "SELECT NULL::VARCHAR AS parent_id, NULL::TIMESTAMPTZ AS due_at"
    is_settled, time = model.settles
    steps = ", ".join(f"since + {seconds(step)}" for step in steps_within(unsettled))
    return f"""
        SELECT parent_id, min(step) AS due_at FROM (
            SELECT parent_id, began_at, unnest([{steps},
                CASE WHEN planned < began_at + {seconds(_FORESEEN)} THEN planned END]) AS step
            FROM (
                SELECT a.parent_id, a.began_at,
                    CASE WHEN {time} > a.began_at + {seconds(AHEAD)} THEN {time} END AS planned,
                    CASE WHEN {time} > a.began_at + {seconds(AHEAD)}
                        THEN id_instant(t.{model.replace}) ELSE {time} END AS since
                FROM {model.table} t JOIN advanced a ON a.parent_id = t.{model.parent}
                WHERE NOT {is_settled} AND deleted_at IS NULL
                    AND {time} > (SELECT min(began_at) FROM advanced) - {seconds(unsettled)}
            )
        ) WHERE step > began_at GROUP BY parent_id
    """


def steps_within(unsettled: timedelta) -> list[timedelta]:
    """Return the ages at which an event that can still change is looked at, the last at the end."""
    return [*(step for step in STEPS if step < unsettled), unsettled]


def _table(certificates: Sequence[Certificate]) -> pa.Table:
    instant = pa.timestamp("us", "UTC")
    began = [c.began_at or c.started_at for c in certificates]
    # What is older than the first row was at the beginning has been seen; never the newest row of
    # all, since something may have come in behind it meanwhile.
    marks = [min(b, c.top or b) for b, c in zip(began, certificates, strict=True)]
    return pa.table(
        {
            "parent_id": _text([c.parent_id for c in certificates]),
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
