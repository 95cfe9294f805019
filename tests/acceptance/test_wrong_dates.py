"""Rows dated ahead, clocks that are wrong, a backlog that arrives late: syncing goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from rehearsal import RehearsalServer
from tests.comparison import differences, stored
from tests.conftest import Serve, sync
from tests.synced import synced
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_QUIET = {
    "deleted_contacts": 0,
    "messages": 3,
    "contact_edits": 2,
    "contacts": 1,
    "status_changes": 0,
    "late_summaries": 0,
}

_NOTHING = dict.fromkeys((*_QUIET, "silent_edits", "tag_changes", "property_changes"), 0)


def _world(serve: Serve, tmp_path: Path) -> tuple[RehearsalServer, Settings]:
    server = serve(contacts=8, conversations=12, events=40)
    settings = synced(server, tmp_path / "home")
    return server, settings


def _goes_on(server: RehearsalServer, settings: Settings) -> None:
    """What changes without a sign is read when its interval is over, what is new at once."""
    server.touch_conversations(2)
    server.advance(timedelta(hours=2), silent_edits=3, tag_changes=3, **_QUIET)
    sync(settings)
    assert differences(settings, server, "contacts", "contact_notes", "conversation_tags") == []
    # The last seconds of the calendar are no instant that can be shown in every zone: NULL.
    shown = [one for one in differences(settings, server, "conversations") if "9999" not in one]
    assert shown == []
    stored(settings, "FROM ops.cursors")  # every instant can be shown
    ahead = "SELECT * FROM ops.cursors WHERE greatest(read_at, whole_at, watermark) > '{}'"
    limit = server.now + timedelta(hours=1)
    assert stored(settings, ahead.format(limit.isoformat())) == []


@pytest.mark.parametrize(
    "instant",
    [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 11, 4, 9, tzinfo=UTC)],
)
def test_an_event_dated_ahead_freezes_nothing(
    serve: Serve, tmp_path: Path, instant: datetime
) -> None:
    server, settings = _world(serve, tmp_path)
    server.date_ahead(1, instant)
    sync(settings)
    _goes_on(server, settings)
    found = differences(settings, server, "timeline_events")
    # A date that is none in every zone costs its own event alone, which is set aside.
    assert found == [] or (instant.year == 9999 and len(found) == 1 and "1 missing" in found[0])


def _freeze(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "UPDATE ops.cursors SET read_at = '9999-12-31 23:00:00+00', "
        "due_at = '10000-01-03 23:00:00+00', watermark = '9999-12-31 23:00:00+00', "
        "whole_at = '2029-01-01 00:00:00+00' WHERE read_at IS NOT NULL"
    )
    clock = '{"service":"9999-12-31T23:00:00Z","local":"2026-11-01T00:00:00Z"}'
    connection.execute("UPDATE ops.home SET value = ? WHERE key = 'clock'", [clock])
    connection.execute("DROP TABLE wh.ops.absences")
    connection.execute("DELETE FROM ops.home WHERE key = 'schema'")


def test_a_home_that_was_frozen_by_the_version_before_thaws(serve: Serve, tmp_path: Path) -> None:
    server, settings = _world(serve, tmp_path)
    with Lake(settings) as lake:
        lake.write("as the version before left it", _freeze)
        with lake.reading() as connection:
            assert not schema.matches_this_version(connection)
    sync(settings)
    _goes_on(server, settings)


def test_a_backlog_that_arrives_late_is_read_and_stops_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path)
    server.advance(timedelta(hours=3), **_QUIET)
    sync(settings)
    server.advance(timedelta(minutes=5), **_NOTHING)
    server.deliver_late(12, timedelta(hours=2))
    results = sync(settings)
    assert {result.status for result in results.values()} == {"done"}
    assert differences(settings, server) == []


def test_a_wrong_date_header_freezes_nothing(serve: Serve, tmp_path: Path) -> None:
    server, settings = _world(serve, tmp_path)
    server.set_quirks(date_off_hours=48)
    server.touch_conversations(1)
    sync(settings)
    server.set_quirks(date_off_hours=0)
    _goes_on(server, settings)
