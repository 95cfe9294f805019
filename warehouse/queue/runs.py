"""What runs leave for each other: their record in ``ops.runs`` and the clock."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec

from hatif.clock import Evidence, Reading, ServiceClock
from hatif.errors import HatifError
from warehouse.lake.connection import Lake
from warehouse.lake.sql import forget_home_values, home_value, home_values, keep_home_values
from warehouse.queue.settled import FOLLOWED_SINCE
from warehouse.queue.states import State, note

#: Under which key of ``ops.home`` an outage is kept.
_OUTAGE = "outage"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_000_000_000  # in the year 9987: Python's calendar ends soon after


class KnownOutage(msgspec.Struct, frozen=True):
    """An outage, until a run reads something.

    Attributes:
        since: the end of the first run that read nothing.
        kind: class of the error in which the last run ended, see `hatif.errors`.
        error: its message.
    """

    since: datetime
    kind: str
    error: str


def begin(lake: Lake, run_id: str, mode: str) -> None:
    """Note that a run begins; one that never ended is now known to have been interrupted.

    Call it while holding the lock that lets only one run call the service.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "UPDATE ops.runs SET status = 'interrupted', finished_at = now() "
            "WHERE status = 'running'"
        )
        connection.execute(
            "INSERT INTO ops.runs BY NAME SELECT ? AS run_id, now() AS started_at, ? AS mode, "
            "'running' AS status",
            [run_id, mode],
        )

    lake.write("begin a run", work)


def end(
    lake: Lake,
    run_id: str,
    *,
    requests: int,
    status: str,
    error: str | None,
    outage: HatifError | None,
    clock: Reading | None = None,
    states: Mapping[str, State] | None = None,
) -> None:
    """Note how a run ended, in one transaction.

    Args:
        lake: open for writing.
        run_id: of the run.
        requests: that it sent.
        status: `done`, `stopped` or `failed`.
        error: why.
        outage: that it ended in, if in one.
        clock: the service's, left for the next run.
        states: how streams stand, where that is not noted yet.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "UPDATE ops.runs SET finished_at = now(), requests = ?, status = ?, error = ? "
            "WHERE run_id = ?",
            [requests, status, error, run_id],
        )
        note(connection, states or {})
        before = home_values(connection)
        values = {} if clock is None else _of_clock(clock, before)
        if outage is not None:
            values[_OUTAGE] = _of_outage(outage, before)
        elif _OUTAGE in before:
            forget_home_values(connection, _OUTAGE)
        if values:
            keep_home_values(connection, values)

    lake.write("end a run", work)


def _of_outage(error: HatifError, values: Mapping[str, str]) -> str:
    """Return the outage as it is kept among the `values` of ``ops.home``."""
    before = _outage_in(values)
    now = datetime.now(UTC)
    since = now if before is None or before.since > now else before.since
    return msgspec.json.encode(KnownOutage(since, type(error).__name__, str(error))).decode()


def _of_clock(reading: Reading, values: Mapping[str, str]) -> dict[str, str]:
    """Return the service's clock as it is kept, and when the home began to follow the service."""
    found = {"clock": msgspec.json.encode(reading).decode()}
    if FOLLOWED_SINCE not in values:
        found[FOLLOWED_SINCE] = reading.service.isoformat()
    return found


def outage(connection: duckdb.DuckDBPyConnection) -> KnownOutage | None:
    """Return the outage in which the last run ended, None where it read something."""
    return _outage_in(home_values(connection))


def _outage_in(values: Mapping[str, str]) -> KnownOutage | None:
    kept = values.get(_OUTAGE)
    return msgspec.json.decode(kept, type=KnownOutage) if kept else None


def open_round(lake: Lake) -> str:
    """Return the id of the full sync that a run belongs to: the last one's, if it was cut short.

    One that stopped because its requests were used up is gone on with for a day; any other full
    run reads everything anew, unless it could not even begin.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> str:
        # A run that ended in the future was dated by a clock that was set back since.
        last = connection.execute(
            "SELECT status = 'stopped' AND finished_at BETWEEN now() - INTERVAL 24 HOURS "
            "AND now() + INTERVAL 1 HOUR FROM ops.runs "
            "WHERE mode = 'full' AND (status != 'failed' OR run_id IN "
            "(SELECT run_id FROM ops.scans)) ORDER BY started_at DESC LIMIT 1"
        ).fetchone()
        known = home_value(connection, "full_round")
        if last is not None and last[0] and known is not None:
            return known
        begun = str(uuid.uuid4())
        keep_home_values(connection, {"full_round": begun})
        return begun

    return lake.write("begin a full sync", work)


def clock(connection: duckdb.DuckDBPyConnection) -> ServiceClock:
    """Return the service's clock as the last run left it."""
    kept = home_value(connection, "clock")
    before = msgspec.json.decode(kept, type=Reading) if kept else None
    return ServiceClock(before, _evidence(connection))


def _evidence(connection: duckdb.DuckDBPyConnection) -> Evidence:
    """What the stored conversations show of the time; instants beyond the calendar show nothing."""
    activity, inserted = (
        [
            _EPOCH + timedelta(seconds=seconds)
            for (seconds,) in connection.execute(
                f"SELECT epoch({column}) AS t FROM core.conversations "
                f"WHERE t BETWEEN 0 AND {_LAST_SECOND} ORDER BY t DESC LIMIT 64"
            ).fetchall()
        ]
        for column in ("last_activity_at", "created_at")
    )
    middle = connection.execute(
        "SELECT quantile_disc(epoch(last_activity_at), 0.5) FROM core.conversations"
    ).fetchone()
    there = middle is not None and middle[0] is not None and 0 <= middle[0] <= _LAST_SECOND
    return Evidence(
        tuple(activity),
        tuple(inserted),
        _EPOCH + timedelta(seconds=middle[0]) if middle and there else None,
    )
