"""Each request of an incremental sync is spent on something that changed; nothing is lost by it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rehearsal import Quirks, RehearsalServer
from sync.session import RunOptions
from tests.comparison import TABLES, differences, stored
from tests.conftest import IMPATIENT, Serve, full_sync, settings_for, sync
from tests.synced import synced
from warehouse.settings.environment import Settings

_LIVING = "WHERE deleted_at IS NULL"
_STATE = {"contact_properties", "conversation_tags"}  # hold what lives alone

_SYNC = """
import sys
from tests.conftest import settings_for, sync
from warehouse.settings.environment import Settings
sync(Settings.load())
"""


def _versions(settings: Settings) -> int:
    return int(stored(settings, "SELECT count(*) AS n FROM raw.records")[0]["n"])


def _kill(settings: Settings, server: RehearsalServer, after: float) -> None:
    """Sync in a process of its own, and kill it."""
    environment = {
        **os.environ,
        "HATIF_HOME": str(settings.home),
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": "0",
        "HATIF_CATALOG": settings.catalog or "",
        "HATIF_LAKE": settings.lake or "",
    }
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", _SYNC], env=environment, cwd=root)
    time.sleep(after)
    process.kill()
    process.wait()


def test_an_unchanged_service_costs_a_handful_of_requests_and_no_row(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = synced(server, tmp_path / "home")
    assert differences(settings, server) == []
    sync(settings)  # takes the steps that fell due meanwhile
    asked, versions = len(server.requests), _versions(settings)

    results = sync(settings)

    assert len(server.requests) - asked == 7  # token, four small lists, the head of two channels
    assert _versions(settings) == versions
    assert {result.status for result in results.values()} == {"done"}


def test_active_conversations_cost_a_request_each(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = synced(server, tmp_path / "home")
    sync(settings)
    asked = len(server.requests)
    touched = server.touch_conversations(9)

    sync(settings)

    assert differences(settings, server) == []
    timelines = [r.path for r in server.requests[asked:] if r.stream == "timelines"]
    assert len(timelines) == len(set(timelines))
    assert {path.split("/")[-2] for path in timelines} >= set(touched)
    assert len(timelines) <= len(touched) + 2  # and a step that came meanwhile


def test_what_changes_without_a_sign_is_found_when_its_turn_comes(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = synced(server, tmp_path / "home")
    server.advance(timedelta(hours=2), messages=1, silent_edits=5, tag_changes=5, late_summaries=5)
    sync(settings)
    assert differences(settings, server, "contacts", "contact_notes", "conversation_tags") == []

    server.advance(timedelta(days=8), messages=1, contacts=0, contact_edits=0)
    sync(settings)

    assert differences(settings, server) == []


def test_late_parents_and_late_children_all_arrive(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=30, conversations=10, events=100)
    settings = settings_for(server, tmp_path / "home")
    sync(settings)
    talk = next(iter(server.world.conversations.values()))
    # One child dated before everything that is known of its parent, and no sign of it but the
    # count; and a new parent whose ten children are older than anything.
    early = talk.events[0].at - 3_600_000_000
    late = server.world.conversations[server.touch_conversations(1)[0]]
    late.events[-1].at = early
    late.events.sort(key=lambda event: event.at)
    server.world.changed(late.id)
    assert len(server.add_contacts(1)) == 1

    sync(settings)

    tables = ("conversations", "conversation_tags", "timeline_events", "assignments")
    assert differences(settings, server, *tables) == []


def test_a_vanished_conversation_takes_its_events_along_and_a_contact_can_come_back(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = synced(server, tmp_path / "home")
    contact_id = next(iter(server.world.contacts))
    server.delete_conversations(2)
    quiet = {"deleted_contacts": 0, "status_changes": 0, "late_summaries": 0}
    server.advance(timedelta(hours=2), **quiet)
    server.delete_contacts([contact_id])
    sync(settings)
    assert differences(settings, server) == []
    gone = "SELECT deleted_at IS NULL AS lives FROM core.contacts WHERE contact_id = '{}'"
    assert stored(settings, gone.format(contact_id)) == [{"lives": False}]

    server.restore_contacts([contact_id])
    server.advance(timedelta(hours=2), **quiet)
    sync(settings)

    assert stored(settings, gone.format(contact_id)) == [{"lives": True}]
    assert differences(settings, server) == []


def test_most_contacts_gone_is_refused_until_it_is_accepted(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=200, conversations=5, events=10)
    settings = settings_for(server, tmp_path / "home", intervals="contacts=0s")
    sync(settings)
    server.delete_contacts(60)

    held = sync(settings)["contacts"]

    assert held.status == "failed"
    assert "60 of 200" in (held.message or "")
    accepted = RunOptions(full=True, accept_deletes=True, retry=IMPATIENT)
    assert sync(settings, options=accepted)["contacts"].deleted > 0
    assert differences(settings, server) == []


def test_a_history_that_is_not_offered_deletes_nobody_and_is_left_alone_for_a_day(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(history="missing"), contacts=30, conversations=5, events=10)
    settings = settings_for(server, tmp_path / "home")

    first = sync(settings)["contact_history"]
    asked = server.requests_by_stream()["contact_history"]
    second = sync(settings)["contact_history"]

    assert first.status == "failed"
    assert "answers 404 for" in (first.message or "")
    assert second.status == "unavailable"
    assert server.requests_by_stream()["contact_history"] == asked
    tombstones = "SELECT count(*) AS n FROM raw.records WHERE op = 'tombstone'"
    assert stored(settings, tombstones) == [{"n": 0}]
    assert differences(settings, server) == []


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_a_first_sync_in_small_portions_reads_no_page_twice(
    serve: Serve, tmp_path: Path, full: bool
) -> None:
    server = serve(Quirks(page_cap=20), contacts=90, conversations=60, events=600)
    settings = settings_for(server, tmp_path / "home")
    portion = RunOptions(full=full, max_requests=40, retry=IMPATIENT)
    rows = -1
    for _ in range(60):
        results = sync(settings, options=portion)
        assert (before := rows) < (rows := _versions(settings)) or before == rows > 0
        if all(result.status == "done" for result in results.values()):
            break
    else:
        pytest.fail("it was never done")

    assert differences(settings, server) == []
    small = {"token", "channels", "users", "tags", "property_definitions"}
    pages = [
        (r.path, r.query.get("skipcount"))
        for r in server.requests
        if r.stream not in small and r.query.get("skipcount") != "0"
    ]
    assert len(pages) - len(set(pages)) <= 2


def test_a_scan_cut_short_goes_on_at_its_page_and_is_certified(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(page_cap=20), contacts=300, conversations=5, events=10)
    settings = settings_for(server, tmp_path / "home")
    options = RunOptions(max_requests=9, retry=IMPATIENT)
    while sync(settings, "contacts", options=options)["contacts"].status == "stopped":
        assert len(server.requests) < 60

    assert differences(settings, server, "contacts", "contact_notes") == []
    scans = stored(
        settings, "SELECT verdict, distinct_ids FROM ops.scans WHERE stream = 'contacts'"
    )
    assert scans == [{"verdict": "complete", "distinct_ids": 300}]
    assert stored(settings, "FROM ops.sightings") == []


@pytest.mark.long
def test_twenty_rounds_of_change_faults_and_kills_end_in_the_truth(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(page_cap=25))
    settings = settings_for(server, tmp_path / "home")
    server.fault_rate(0.05, seed=3)
    dice = random.Random(5)
    for number in range(20):
        server.advance(
            timedelta(minutes=dice.choice((5, 20, 90, 600))),
            deleted_conversations=dice.choice((0, 0, 1)),
            deleted_tags=dice.choice((0, 0, 0, 1)),
            restored_contacts=dice.choice((0, 0, 1)),
            messages=dice.choice((3, 10, 40)),
            closed=1,
        )
        if number % 3 == 2:
            _kill(settings, server, after=dice.uniform(0.8, 2.5))
        else:
            sync(settings)
    # What changed without a sign is due at the latest a week later.
    server.advance(timedelta(days=8), messages=5, deleted_contacts=0)
    server.clear_faults()
    results = sync(settings)

    assert {result.status for result in results.values()} == {"done"}
    assert differences(settings, server) == []
    fresh = settings_for(server, tmp_path / "fresh")
    full_sync(fresh)
    for table in TABLES:
        rows = f"SELECT * FROM core.{table} {'' if table in _STATE else _LIVING} ORDER BY ALL"
        assert stored(settings, rows) == stored(fresh, rows), table


def test_state_does_not_grow_with_rows_that_did_not_change(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = synced(server, tmp_path / "home")
    sync(settings)
    state = (
        "SELECT (SELECT count(*) FROM ops.cursors) AS cursors, "
        "(SELECT count(*) FROM ops.unfinished_scans) AS scans, "
        "(SELECT count(*) FROM ops.sightings) AS sightings, "
        "(SELECT count(*) FROM ops.hints) AS hints"
    )
    before = stored(settings, state)
    for _ in range(3):
        sync(settings)
    assert stored(settings, state) == before


@pytest.mark.parametrize("date_header", ["world", "machine", "none"])
def test_ages_are_measured_on_the_clock_of_the_service(
    serve: Serve, tmp_path: Path, date_header: Any
) -> None:
    server = serve(Quirks(date_header=date_header))
    assert server.now < datetime.now(UTC) - timedelta(days=2)
    settings = settings_for(server, tmp_path / "home")
    sync(settings, "channels", "conversations")
    marks = "SELECT max(watermark) AS at FROM ops.cursors WHERE stream = 'conversations'"
    assert stored(settings, marks)[0]["at"] <= server.now + timedelta(minutes=1)

    server.advance(timedelta(hours=6), messages=20)
    server.touch_conversations(1)
    sync(settings, "channels", "conversations")

    assert differences(settings, server, "conversations", "conversation_tags") == []
