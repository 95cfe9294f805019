"""Rereading on request: lists named by id or by date join the work queue.

They are noted like a webhook's hint (``ops.hints``), so that a run which is killed, or may make
only so many requests, leaves the rest to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import duckdb

from hatif.errors import SettingsError
from warehouse.lake.connection import Lake
from warehouse.lake.sql import scalar
from warehouse.settings.csv_file import DATE_RANGE, parse_date

_STREAM = "timelines"


@dataclass(frozen=True, slots=True)
class RereadRequest:
    """What to read again from beginning to end.

    Attributes:
        conversations: ids of those whose timelines are wanted.
        since: first local day of a range; every timeline that can hold something of it is wanted.
        until: its last day.
    """

    conversations: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    @classmethod
    def of(
        cls, conversations: Sequence[str], since: str | None = None, until: str | None = None
    ) -> Self:
        """Make it of a run's configuration.

        Raises:
            SettingsError: nothing is requested, a day is invalid or missing, or the range ends
                before it begins.
        """
        first, last = _day("since", since), _day("until", until)
        if (first is None) != (last is None):
            raise SettingsError("since and until: a range of days needs both")
        if first and last and last < first:
            raise SettingsError("until: must not be before since")
        ids = tuple(dict.fromkeys(one.strip().lower() for one in conversations))
        if not ids and not first:
            raise SettingsError("name conversations or days (since, until) to read again")
        return cls(ids, first, last)


def request_reread(lake: Lake, request: RereadRequest, timezone: str) -> int:
    """Note what is to be read again; return how many timelines that is.

    Args:
        lake: of the home.
        request: what.
        timezone: that the days are in.

    Raises:
        SettingsError: a conversation that is not stored, or deleted.
    """
    return lake.write("request a reread", lambda connection: _note(connection, request, timezone))


def _note(connection: duckdb.DuckDBPyConnection, request: RereadRequest, timezone: str) -> int:
    ids = list(request.conversations)
    known = connection.execute(
        "SELECT conversation_id FROM core.conversations "
        "WHERE deleted_at IS NULL AND list_contains($ids, conversation_id)",
        {"ids": ids},
    ).fetchall()
    if unknown := sorted(set(ids) - {one for (one,) in known}):
        raise SettingsError(
            f"conversations: {len(unknown)} of {len(ids)} are not stored, or deleted; the first: "
            f"{unknown[0]}. Correct the id, or sync conversations first"
        )
    since, end = _instants(request, ZoneInfo(timezone))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE requested AS
        SELECT $stream AS stream, conversation_id AS parent_id, now() AS hinted_at, true AS whole
        FROM core.conversations
        WHERE deleted_at IS NULL AND (
            list_contains($ids, conversation_id)
            OR (created_at < $end AND last_activity_at >= $since)
            OR conversation_id IN (
                SELECT conversation_id FROM core.timeline_events
                WHERE occurred_at >= $since AND occurred_at < $end))
        """,
        {"stream": _STREAM, "ids": ids, "since": since, "end": end},
    )
    # Lists that failed, and whose next try is put off, are tried now.
    connection.execute(
        "UPDATE ops.list_retries SET retry_at = ended_at "
        "WHERE stream = ? AND parent_id IN (SELECT parent_id FROM requested)",
        [_STREAM],
    )
    return scalar(connection, "INSERT INTO ops.hints BY NAME FROM requested")


def _instants(request: RereadRequest, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return when the range begins, and when it is over."""
    if request.since is None or request.until is None:
        return None, None
    over = request.until + timedelta(days=1)
    return datetime.combine(request.since, time(), zone), datetime.combine(over, time(), zone)


def _day(name: str, value: str | None) -> date | None:
    try:
        return parse_date(value) if value else None
    except ValueError:
        message = f"{name}: must be a day like 2026-11-01, {DATE_RANGE}"
        raise SettingsError(message) from None
