"""One answer is weak evidence: nothing dies of it, and what died wrongly lives again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from rehearsal import Fault, RehearsalServer
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for, sync
from tests.synced import synced
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_TALKS = ("conversations", "timeline_events", "assignments")
_MARKED = "SELECT stream, count(*) AS n FROM raw.records WHERE op = 'tombstone' GROUP BY ALL"
_WAITING = "SELECT DISTINCT stream FROM ops.absences WHERE proof IS NULL ORDER BY ALL"


def _world(serve: Serve, tmp_path: Path, **sizes: int) -> tuple[RehearsalServer, Settings]:
    server = serve(**{"contacts": 20, "conversations": 12, "events": 150, **sizes})
    settings = synced(server, tmp_path / "home")
    assert differences(settings, server) == []
    return server, settings


def _empty(server: RehearsalServer, stream: str, path: str | None = None, times: int = 1) -> None:
    server.fault(Fault("empty_list", stream=stream, path=path, times=times))


def _asked(server: RehearsalServer, since: int, stream: str) -> int:
    return sum(request.stream == stream for request in server.requests[since:])


def test_lists_that_are_empty_for_a_moment_lose_nothing_and_real_deletions_happen_at_once(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path)
    talks = sorted(server.world.conversations.values(), key=lambda talk: -len(talk.events))
    once, twice, thinned = talks[:3]
    contact = max(server.world.contacts.values(), key=lambda contact: len(contact.history))
    server.edit_contacts([contact.id])
    quiet = {"deleted_contacts": 0, "messages": 0, "status_changes": 0, "late_summaries": 0}
    server.advance(timedelta(hours=2), **quiet)
    server.touch_conversations([once.id, twice.id, thinned.id])
    server.add_contacts(1)
    new = list(server.world.conversations.values())[-1]
    del thinned.events[1:-1]
    server.world.changed(thinned.id)
    for talk_id, answers in ((once.id, 1), (twice.id, 2), (new.id, 1)):
        _empty(server, "timelines", talk_id, answers)
    _empty(server, "contact_history", contact.id)

    sync(settings)

    marked = {row["stream"]: row["n"] for row in stored(settings, _MARKED)}
    assert set(marked) <= {"timelines"}
    assert stored(settings, _WAITING) == [{"stream": "contact_history"}, {"stream": "timelines"}]
    sync(settings)
    sync(settings)
    assert stored(settings, _WAITING) == []
    assert differences(settings, server) == []


def test_a_history_that_is_empty_at_its_very_first_reading_is_read_once_more(
    serve: Serve, tmp_path: Path
) -> None:
    """No count says how long it is, but a contact that was changed has one."""
    server = serve(contacts=20, conversations=4, events=10)
    settings = settings_for(server, tmp_path / "home")
    changed = [one for one in server.world.contacts.values() if one.modified is not None]
    _empty(server, "contact_history", max(changed, key=lambda one: len(one.history)).id)
    sync(settings, "contacts", "contact_history")
    assert differences(settings, server, "contact_history") != []
    for requests in (len(changed[:1]), 0):
        since = len(server.requests)
        sync(settings, "contacts", "contact_history")
        assert differences(settings, server, "contact_history") == []
        assert _asked(server, since, "contact_history") == requests


def test_a_timeline_that_stays_empty_lives_while_its_conversation_counts_its_events(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path, contacts=6, conversations=6, events=60)
    talk = max(server.world.conversations.values(), key=lambda talk: len(talk.events))
    server.touch_conversations([talk.id])
    _empty(server, "timelines", talk.id, 99)
    for _ in range(3):
        sync(settings, "channels", "conversations", "timelines")
    assert stored(settings, _MARKED) == []


def test_lists_that_are_empty_throughout_a_run_lose_nothing(serve: Serve, tmp_path: Path) -> None:
    server, settings = _world(serve, tmp_path, contacts=10, conversations=6, events=30)
    lists = ("channels", "users", "tags", "property_definitions", "conversations", "contacts")
    for stream in lists:
        _empty(server, stream, times=99)
    for stream in ("contact", "conversation"):  # a moment in which a workspace's rows are hidden
        server.fault(Fault("404_abp", stream=stream, every=1))
    full_sync(settings, *lists)
    assert stored(settings, _MARKED) == []
    server.clear_faults()
    full_sync(settings)
    assert differences(settings, server) == []
    assert stored(settings, _WAITING) == []


def test_a_list_that_is_empty_in_a_later_run_too_is_empty(serve: Serve, tmp_path: Path) -> None:
    server, settings = _world(serve, tmp_path, contacts=10, conversations=6, events=30)
    server.delete_tags(99)
    server.delete_contacts(99)
    full_sync(settings, "tags", "contacts")
    assert stored(settings, _MARKED) == []
    full_sync(settings, "tags", "contacts")
    assert differences(settings, server, "tags", "contacts") == []


def test_a_home_that_lost_rows_to_one_empty_answer_before_gets_them_back(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path)
    with Lake(settings) as lake:
        lake.write("as the version before left it", _as_before)

    sync(settings)

    assert differences(settings, server) == []


def _as_before(connection: Any) -> None:
    for stream, table in (("timelines", "timeline_events"), ("contact_history", "contact_history")):
        key = "event_id" if stream == "timelines" else "history_id"
        parent = "conversation_id" if stream == "timelines" else "contact_id"
        connection.execute(
            "INSERT INTO raw.records BY NAME SELECT ? AS stream, record_id, "
            "any_value(parent_id) AS parent_id, (SELECT max(seq) FROM raw.records) + "
            "row_number() OVER () AS seq, 'tombstone' AS op, now() AS fetched_at "
            "FROM raw.records WHERE stream = ? AND parent_id IN "
            f"(SELECT {parent} FROM core.{table} GROUP BY ALL ORDER BY count(*) DESC LIMIT 2) "
            "GROUP BY record_id",
            [stream, stream],
        )
        connection.execute(
            f"UPDATE core.{table} SET deleted_at = now() WHERE {key} IN "
            "(SELECT record_id FROM raw.records WHERE op = 'tombstone')"
        )
    connection.execute("DROP TABLE wh.ops.absences")
    connection.execute("ALTER TABLE wh.ops.cursors DROP COLUMN gap")
    connection.execute("ALTER TABLE wh.ops.cursors DROP COLUMN doubted_at")
    connection.execute("DELETE FROM ops.home WHERE key = 'schema'")
    assert not schema.matches_this_version(connection)


def test_a_channel_deleted_with_its_conversations_costs_a_request_each_once(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path, contacts=150, conversations=180, events=300)
    gone = next(iter(server.world.channels))
    talks = len(server.world.by_channel[gone])
    assert talks > 60  # more than the brake allows
    server.delete_channels([gone])
    asked = len(server.requests)

    results = sync(settings)

    assert {result.status for result in results.values()} == {"done"}
    assert differences(settings, server, "channels", *_TALKS) == []
    assert _asked(server, asked, "conversation") == talks
    asked = len(server.requests)
    sync(settings)
    assert _asked(server, asked, "conversation") + _asked(server, asked, "timelines") == 0


def test_where_the_brake_holds_all_else_is_done_and_what_is_gone_is_proven_once(
    serve: Serve, tmp_path: Path
) -> None:
    server, settings = _world(serve, tmp_path, contacts=100, conversations=100, events=300)
    dead = server.delete_conversations(60)
    server.touch_conversations(3)
    for _ in range(2):
        results = full_sync(settings, "channels", "conversations", "timelines")
        assert results["conversations"].status == "failed"
        assert "60 of 100" in (results["conversations"].message or "")
    living = server.truth("timeline_events")
    assert {row["event_id"] for row in living} <= {
        row["event_id"] for row in stored(settings, "SELECT event_id FROM core.timeline_events")
    }
    asked = len(server.requests)
    full_sync(settings, "timelines")
    paths = [request.path for request in server.requests[asked:]]
    assert not [path for path in paths if any(talk in path for talk in dead)]
    assert stored(settings, _MARKED) == []
