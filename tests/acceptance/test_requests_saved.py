"""What webhooks have reported is not read again, and nothing is lost by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hatif.reading import StreamResult
from hatif.webhooks.sources import place_of
from rehearsal import RehearsalServer
from sync.session import RunOptions
from tests.comparison import differences, stored
from tests.conftest import IMPATIENT, Serve, settings_for, sync
from tests.synced import synced
from warehouse.lake.schema import open_lake
from warehouse.merge import messages
from warehouse.queue import settled
from warehouse.reports.status import FirstReading, first_reading
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

_QUIET: dict[str, Any] = dict.fromkeys(
    (
        *("contacts", "contact_edits", "silent_edits", "status_changes", "late_summaries"),
        *("deleted_contacts", "tag_changes", "property_changes"),
    ),
    0,
)


@dataclass
class _Home:
    """A home that follows a server, its webhook files read before each sync."""

    server: RehearsalServer
    settings: Settings
    lost: float = 0.0

    def live(self, duration: timedelta, **counts: int) -> dict[str, StreamResult]:
        """Let time pass, read what webhooks there were, and sync."""
        since = self.server.now
        self.server.advance(duration, **_QUIET | counts)
        folder = Path(self.settings.webhook_location)
        self.server.write_webhooks(folder, since, lost=self.lost, late=0, formats=["ndjson"])
        self.merge()
        return sync(self.settings)

    def merge(self) -> None:
        """Read webhook files, and merge them and what was read."""
        with open_lake(self.settings) as lake:
            ingest(lake, place_of(self.settings.webhook_location), self.settings.secrets)
            messages.merge(lake)

    def proven(self) -> list[str]:
        """Return the channels in which webhooks are relied on."""
        with open_lake(self.settings) as lake, lake.reading() as connection:
            found = settled.coverage(connection, self.server.now)
        return [channel for channel, one in found.items() if one.is_proven]

    def stored(self, sql: str) -> list[Any]:
        """Return the first column of a query."""
        return [next(iter(row.values())) for row in stored(self.settings, sql)]


@pytest.fixture
def home(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Home:
    monkeypatch.setattr(settled, "LEAST_MESSAGES", 20)
    server = serve(contacts=50, conversations=50, events=500, channels=2)
    secrets = server.webhook_secrets_setting
    followed = _Home(server, synced(server, tmp_path / "home", webhook_secrets=secrets))
    followed.merge()
    return followed


def test_what_webhooks_reported_wholly_is_not_read_and_comes_with_its_turn(home: _Home) -> None:
    first = home.live(timedelta(hours=4), messages=120)
    assert first["timelines"].left_out == 0  # nothing proves the rule yet

    second = home.live(timedelta(hours=4), messages=40)

    assert second["timelines"].left_out > 5
    home.merge()
    truth = {row["event_id"]: row for row in home.server.truth("timeline_events")}
    unread = truth.keys() - set(home.stored("SELECT event_id FROM core.timeline_events"))
    assert unread
    stated = "SELECT event_id FROM core.messages WHERE origin_confidence = 'stated'"
    assert unread <= set(home.stored(stated))
    assert {truth[one]["source"] for one in unread} == {"whatsapp"}
    assert not any(truth[one]["is_ai"] for one in unread)
    reasons = Counter(home.stored("SELECT reason FROM ops.scans WHERE stream = 'timelines'"))
    assert reasons["hint"]  # assignments, calls, and messages without a sender

    home.live(timedelta(days=8), messages=1)
    assert differences(home.settings, home.server) == []


def test_a_channel_whose_webhooks_are_lost_now_and_then_is_read_as_ever(home: _Home) -> None:
    home.lost = 0.2
    home.live(timedelta(hours=4), messages=120)

    home.live(timedelta(hours=4), messages=40, status_changes=20)

    assert home.proven() == []
    events = set(home.stored("SELECT event_id FROM core.timeline_events"))
    assert events == {row["event_id"] for row in home.server.truth("timeline_events")}


def test_receipts_that_no_webhook_reported_end_the_proof(home: _Home) -> None:
    home.live(timedelta(hours=4), messages=120)
    home.live(timedelta(hours=3), messages=1)
    assert home.proven()
    home.server.advance(timedelta(hours=1), **_QUIET | {"messages": 0, "status_changes": 40})

    home.server.advance(timedelta(days=4), **_QUIET | {"messages": 0})
    sync(home.settings)

    home.merge()
    assert not home.proven()


def test_the_list_of_a_channel_is_not_read_where_no_webhook_came_since(home: _Home) -> None:
    home.live(timedelta(hours=4), messages=120)
    home.live(timedelta(hours=20), messages=1)

    quiet = [home.live(timedelta(minutes=15), messages=0)["conversations"] for _ in range(3)]

    assert sum(result.left_out for result in quiet) >= 1
    home.live(timedelta(minutes=15), messages=6)
    assert differences(home.settings, home.server, "conversations") == []


def test_a_first_sync_cut_short_is_complete_back_to_what_status_shows(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=60, conversations=60, events=600)
    settings = settings_for(server, tmp_path / "home")

    sync(settings, options=RunOptions(max_requests=40, retry=IMPATIENT))

    with open_lake(settings) as lake, lake.reading() as connection:
        shown = first_reading(connection)
    assert 0 < shown.unread < 60
    rows = stored(settings, "SELECT event_id FROM core.timeline_events")
    events = {row["event_id"] for row in rows}
    late = {
        row["event_id"]
        for row in server.truth("timeline_events")
        if row["occurred_at"] > (shown.complete_since or row["occurred_at"])
    }
    assert late
    assert late <= events
    sync(settings)
    with open_lake(settings) as lake, lake.reading() as connection:
        assert first_reading(connection) == FirstReading(0, None)
