"""What to read next: the work queue, worked out from what is stored (``core`` and ``ops.cursors``).

Nothing is queued and forgotten: whether a list is due follows from its cursor and from what its
parent states now, so a run that was interrupted anywhere leaves the right work for the next. A list
is due because it was never read, because its parent differs from the last reading,
because a webhook named it or a re-read was requested, because what it lacks awaits a second proof,
because an event in it may still change and its next step has come, or because its interval is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import duckdb

from hatif.sink import Target
from hatif.streams import STREAMS
from warehouse.lake import closing
from warehouse.lake.connection import Lake
from warehouse.lake.sql import scalar, seconds
from warehouse.models.model import main_model
from warehouse.queue import cursors, intervals, settled
from warehouse.settings.values import EARLY

#: How far below its watermark an ordered list is read: rows can show up a little late.
OVERLAP = timedelta(minutes=30)
#: A parent whose latest sign of life is younger goes before older ones that were never read.
_FRESH = timedelta(hours=72)
_AT_ONCE = 2_000
#: A list's next try is not due yet; never so where the clock was set back far since its last.
_IS_PUT_OFF = (
    "r.retry_at > r.ended_at AND now > r.ended_at - INTERVAL 5 MINUTES AND now < r.retry_at"
)
#: What is missing from a list (``ops.absences``) is looked for again in the next run, then after
#: waits that double, but at least once a day; `_PROMPT` seconds long in every run.
_LONGEST_WAIT = 24 * 3600
_PROMPT = 15 * 60
_AGE = "epoch(now()) - epoch(checked_at)"
#: SQL: absences to be looked into now; a clock that was set back is no obstacle.
ABSENCE_DUE = f"""(
    (coalesce(proof, 'alive') = 'alive' AND ({_AGE} < 0
        OR {_AGE} >= least(epoch(checked_at) - epoch(missing_since) - {_PROMPT}, {_LONGEST_WAIT})))
    OR (proof = 'deleted' AND ({_AGE} < 0 OR {_AGE} >= {_LONGEST_WAIT})))"""
#: SQL: hints that hold now. Only what was set aside is put off, by a day at most (`rejects`); any
#: other time to come is that of a clock that was set back since.
_IS_HINT_DUE = "(hinted_at <= now() OR whole IS NOT TRUE OR hinted_at > now() + INTERVAL 25 HOURS)"
#: How far behind an earlier reading our idea of the service's time may be: its Date header counts
#: whole seconds. A reading further ahead was dated by a clock that was wrong.
_JITTER = timedelta(minutes=5)


#: SQL: whether a cursor is dated ahead of the service's time, by a clock that was wrong or by a row
#: dated ahead: nothing in it of what was read can be believed.
_MISDATED = f"(greatest(c.read_at, c.whole_at, c.watermark) > now + {seconds(_JITTER)}) IS TRUE"


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """On what terms lists are due.

    Attributes:
        now: the service's time.
        interval: least time between whole reads of one list, None = no end to it.
        learns: the interval may grow where readings bring nothing (`warehouse.queue.intervals`).
        unsettled: how long an event that can still change is looked at again.
        full_round: read every list in full that was not yet, in this round; None = incremental.
        only_requested: read nothing but what was requested to be read again.
    """

    now: datetime
    interval: timedelta | None
    unsettled: timedelta
    full_round: str | None = None
    only_requested: bool = False
    learns: bool = False


def reasons(
    connection: duckdb.DuckDBPyConnection, stream: str, terms: ReadPolicy
) -> dict[str, int]:
    """Return how many lists of a stream are due, by reason."""
    due = _Due(stream, terms)
    return _reasons(connection, due, due.sql())


def reasons_of_all(
    connection: duckdb.DuckDBPyConnection, terms: Callable[[str], ReadPolicy]
) -> dict[str, dict[str, int]]:
    """Return the same of every stream; what all plans read of ``ops`` is read once.

    Args:
        connection: for reading one snapshot.
        terms: of a stream.
    """
    for table in _NOTES:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM ops.{table}")
    dues = {stream: _Due(stream, terms(stream)) for stream in STREAMS}
    found = {
        stream: _reasons(connection, due, due.sql().replace("ops.", "temp."))
        for stream, due in dues.items()
    }
    for table in _NOTES:
        connection.execute(f"DROP TABLE temp.{table}")
    return found


#: What a plan reads of ``ops``.
_NOTES = ("cursors", "hints", "list_retries", "absences")


def _reasons(connection: duckdb.DuckDBPyConnection, due: _Due, sql: str) -> dict[str, int]:
    _make_plan(connection, due, sql)
    found = connection.execute(
        "SELECT reason, count(*) FROM plan GROUP BY ALL ORDER BY min(n)"
    ).fetchall()
    for table in ("plan", *settled.TEMPORARY):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return dict(found)


def _make_plan(connection: duckdb.DuckDBPyConnection, due: _Due, sql: str) -> int:
    """Make the temporary table ``plan``; return how many lists webhooks have taken out of it."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE plan AS {sql}")
    terms = due.terms
    if terms.full_round is not None or terms.only_requested:
        return 0
    return settled.leave_out(connection, due.stream, terms.now, terms.unsettled)


def is_read_on_change(stream: str) -> bool:
    """Whether a list of the stream is read when its parent shows a change."""
    return bool(main_model(stream).signals)


class WorkPlan:
    """The lists of a stream that are due, the most valuable first; use as a context manager.

    Args:
        lake: where the cursors are.
        stream: whose lists.
        terms: see `ReadPolicy`.
    """

    def __init__(self, lake: Lake, stream: str, terms: ReadPolicy) -> None:
        self._connection = lake.reader()
        self._due = _Due(stream, terms)
        #: Lists that would be due, had webhooks not reported what changed in them.
        self.left_out = _make_plan(self._connection, self._due, self._due.sql())
        #: How many lists are due.
        self.count = scalar(self._connection, "SELECT count(*) FROM plan")

    def __iter__(self) -> Iterator[Target]:
        """Yield them, read from the plan a few thousand at a time."""
        for first in range(1, self.count + 1, _AT_ONCE):
            rows = self._connection.execute(
                self._due.targets(), {"first": first, "last": first + _AT_ONCE - 1}
            ).fetchall()
            yield from (Target(*row) for row in rows)

    def sample(self, most: int) -> list[Target]:
        """Return lists for evidence: some that were read before, then some of the plan."""
        rows = self._connection.execute(
            """
            (SELECT parent_id, 'check' FROM ops.cursors
                WHERE stream = $stream AND read_at IS NOT NULL AND parent_id IS NOT NULL
                    AND parent_id NOT IN (SELECT parent_id FROM plan WHERE parent_id IS NOT NULL)
                ORDER BY read_at DESC, parent_id LIMIT 1)
            UNION ALL
            (SELECT parent_id, reason FROM plan WHERE n % $step = 0 ORDER BY n DESC LIMIT $most)
            """,
            {
                "stream": self._due.stream,
                "step": max(1, self.count // max(1, most)),
                "most": most,
            },
        ).fetchall()
        return [Target(*row) for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        closing.close(self._connection)


class _Due:
    """The SQL that finds which lists of a stream are due."""

    def __init__(self, stream: str, terms: ReadPolicy) -> None:
        self._stream = STREAMS[stream]
        self._model = main_model(stream)
        self.terms = terms

    @property
    def stream(self) -> str:
        """Whose lists."""
        return self._stream.name

    def sql(self) -> str:
        """Number the lists that are due.

        Nothing is bound: it would make DuckDB load pandas, half a second that a glance at the
        status should not cost. All that is written in is ours.
        """
        name = f"'{self._stream.name}'"
        return f"""
            WITH candidates AS (
                SELECT p.*, c.watermark, c.read_at, {self._reason()} AS reason, now,
                    coalesce({self._is_its_turn()} OR is_waiting OR {self._is_doubted()}, false)
                        OR {_MISDATED} AS is_its_turn,
                    {self._has_step()} AS has_step,
                    CASE WHEN r.verdict = 'unproven' THEN r.times ELSE 0 END AS setbacks,
                    coalesce(r.verdict = 'failed', false) AS has_failed
                FROM ({self._parents()}) p
                CROSS JOIN (SELECT TIMESTAMPTZ '{self.terms.now.isoformat()}' AS now)
                LEFT JOIN ops.cursors c ON c.stream = {name}
                    AND c.parent_id IS NOT DISTINCT FROM p.parent_id
                LEFT JOIN (SELECT parent_id, bool_or(whole IS TRUE) AS whole FROM ops.hints
                    WHERE stream = {name} AND {_IS_HINT_DUE} GROUP BY ALL) h
                    ON h.parent_id = p.parent_id
                LEFT JOIN ops.list_retries r ON r.stream = {name}
                    AND r.parent_id IS NOT DISTINCT FROM p.parent_id
                LEFT JOIN (SELECT parent_id, true AS is_waiting FROM ops.absences
                    WHERE stream = {name} AND {self._list_absence()} AND {ABSENCE_DUE}
                    GROUP BY ALL) a ON a.parent_id IS NOT DISTINCT FROM p.parent_id
            )
            SELECT row_number() OVER (ORDER BY has_failed, CASE
                    WHEN reason IN ('requested', 'changed', 'hint') THEN 0
                    WHEN reason = 'new' AND latest > now - {seconds(_FRESH)} THEN 0
                    WHEN reason IN ('step', 'check') THEN 1
                    WHEN reason IN ('new', 'full') THEN 2
                    ELSE 3 END, latest DESC NULLS LAST, parent_id) AS n,
                parent_id, reason, signal, watermark, read_at, is_its_turn, has_step,
                setbacks
            FROM candidates WHERE reason IS NOT NULL
        """

    def targets(self) -> str:
        """Some of the plan; where a list's beginning is enough, with how far down it goes."""
        if not self._stream.newest_first:
            return (
                "SELECT parent_id, reason, NULL, signal, setbacks FROM plan "
                "WHERE n BETWEEN $first AND $last ORDER BY n"
            )
        floors = "SELECT NULL::VARCHAR AS parent_id, NULL::TIMESTAMPTZ AS floor"
        if self._model.settles is not None:
            is_settled, time = self._model.settles
            floors = f"""
                SELECT p.parent_id, min({time}) AS floor
                FROM {self._model.table} t JOIN plan p ON p.parent_id = t.{self._model.parent}
                WHERE NOT {is_settled} AND deleted_at IS NULL AND n BETWEEN $first AND $last
                    AND {time} > p.read_at - {seconds(self.terms.unsettled)}
                GROUP BY p.parent_id
            """
        return f"""
            SELECT parent_id, reason,
                CASE WHEN reason IN ('changed', 'hint', 'step', 'sample', 'head')
                    AND NOT is_its_turn AND watermark IS NOT NULL
                THEN least(watermark - {seconds(OVERLAP)}, floor) END AS until, signal,
                setbacks
            FROM plan LEFT JOIN ({floors}) USING (parent_id)
            WHERE n BETWEEN $first AND $last ORDER BY n
        """

    def _parents(self) -> str:
        """The lists that there are, their parents' signals now, and the latest instant in them."""
        if self._stream.parent is None:
            return (
                "SELECT NULL::VARCHAR AS parent_id, NULL::VARCHAR AS signal, "
                "NULL::TIMESTAMPTZ AS latest"
            )
        parent, signals = main_model(self._stream.parent), self._model.signals
        parts = ", ".join(f"coalesce({column}::VARCHAR, '')" for column in signals)
        return (
            f"SELECT {parent.replace} AS parent_id, "
            f"{f'concat_ws(chr(124), {parts})' if signals else 'NULL::VARCHAR'} AS signal, "
            f"{signals[0] if signals else 'NULL'}::TIMESTAMPTZ AS latest "
            f"FROM {parent.table} WHERE deleted_at IS NULL AND {parent.replace} NOT IN (SELECT "
            # Its own address answered 404, but the brake held.
            f"record_id FROM ops.absences WHERE stream = '{parent.stream}' AND proof = 'gone')"
        )

    def _list_absence(self) -> str:
        """What of the absences is a matter of a list, not of a record's own address."""
        return "true" if self._stream.own_path is None else "false"

    def _reason(self) -> str:
        """Why a list is due, NULL where it is not."""
        if self.terms.only_requested:
            return "CASE WHEN h.whole THEN 'requested' END"
        if self.terms.full_round is not None:
            return f"CASE WHEN c.round IS DISTINCT FROM '{self.terms.full_round}' THEN 'full' END"
        reasons = [
            f"WHEN r.verdict = 'failed' AND {_IS_PUT_OFF} THEN NULL",
            "WHEN h.whole THEN 'requested'",
            "WHEN h.parent_id IS NOT NULL THEN 'hint'",
            # Unproven so often that another reading as things are would prove no more.
            f"WHEN {_IS_PUT_OFF} AND r.signal IS NOT DISTINCT FROM p.signal THEN NULL",
            "WHEN c.read_at IS NULL THEN 'new'",
        ]
        if self._model.signals:
            reasons.append("WHEN c.signal IS DISTINCT FROM p.signal THEN 'changed'")
        reasons.append(f"WHEN is_waiting OR {self._is_doubted()} THEN 'check'")
        if self._model.settles is not None:
            reasons.append(f"WHEN {self._has_step()} THEN 'step'")
        reasons.append(f"WHEN {self._is_its_turn()} OR {_MISDATED} THEN 'interval'")
        if self._stream.newest_first and not self._model.signals:
            reasons.append("ELSE 'head'")
        return f"CASE {' '.join(reasons)} END"

    def _has_step(self) -> str:
        """Whether an event of a list has reached its next step, whatever else makes it due."""
        return "false" if self._model.settles is None else "(c.due_at <= now) IS TRUE"

    def _is_doubted(self) -> str:
        """Whether a list was shorter than its parent counts, and no later run has confirmed it."""
        if self._stream.parent_count is None and self._stream.parent_least is None:
            return "false"
        return f"(c.doubted_at IS NOT NULL AND {cursors.counts_agree(self._stream.name)})"

    def _is_its_turn(self) -> str:
        """Whether a list's interval is over.

        Lists that are otherwise read on change take their turns at moments of their own, spread
        evenly over the interval.
        """
        interval = self.terms.interval
        if interval is None:
            return "false"
        age = "epoch(now) - epoch(c.whole_at)"
        if self.terms.learns and intervals.may_learn(self._stream.name):
            lacks = intervals.lacks_records(self._stream.name)
            return f"(coalesce({age} >= {intervals.LEARNED} * {1 - EARLY}, true) OR {lacks})"
        if not interval:
            return "true"
        if not self._model.signals:
            return f"({age} >= {interval.total_seconds() * (1 - EARLY)})"
        period = max(1, int(interval.total_seconds()))
        since = f"(epoch(now)::BIGINT + (hash(p.parent_id) % {period})::BIGINT) % {period}"
        return f"({age} > {since})"
