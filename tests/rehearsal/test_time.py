"""Time moves on, and the world with it."""

from dataclasses import asdict
from datetime import timedelta

import pytest

from rehearsal import RehearsalServer, WorldSpec
from rehearsal.passage import Passage
from rehearsal.stage import Stage

HOURS = timedelta(hours=6)
STILL = dict.fromkeys(asdict(Passage()), 0)


@pytest.fixture
def stage():
    return Stage(WorldSpec(contacts=80, conversations=80, events=2_000))


def rows(stage, table, key):
    return {row[key]: row for row in stage.truth(table)}


def changed(before, after):
    return {key for key in before.keys() & after.keys() if before[key] != after[key]}


def test_nothing_happens_by_itself(stage):
    before = {table: stage.truth(table) for table in ("contacts", "conversations", "tags")}
    stage.advance(HOURS, **STILL)
    assert before == {table: stage.truth(table) for table in before}


def test_contacts_come_and_go(stage):
    before = rows(stage, "contacts", "contact_id")
    done = stage.advance(HOURS, **STILL | {"contacts": 4, "deleted_contacts": 3})
    after = rows(stage, "contacts", "contact_id")
    assert after.keys() - before.keys() == set(done["contacts"])
    assert before.keys() - after.keys() == stage.deleted("contacts")
    assert (len(done["contacts"]), len(done["deleted_contacts"])) == (4, 3)
    assert stage.truth_counts()["conversations"] == 84


def test_edits_move_the_modification_time_and_are_logged(stage):
    before, logged = rows(stage, "contacts", "contact_id"), stage.truth_counts()["contact_history"]
    done = stage.advance(HOURS, **STILL | {"contact_edits": 6})
    after = rows(stage, "contacts", "contact_id")
    assert changed(before, after) == set(done["contact_edits"])
    assert all(after[key]["modified_at"] == stage.spec.now + HOURS for key in done["contact_edits"])
    assert stage.truth_counts()["contact_history"] >= logged + 6


def test_silent_edits_change_notes_or_properties_and_no_time(stage):
    before = rows(stage, "contacts", "contact_id")
    held = stage.truth("contact_notes") + stage.truth("contact_properties")
    assert len(stage.advance(HOURS, **STILL | {"silent_edits": 5})["silent_edits"]) == 5
    assert rows(stage, "contacts", "contact_id") == before
    assert held != stage.truth("contact_notes") + stage.truth("contact_properties")


def test_new_events_move_their_conversations(stage):
    before = rows(stage, "conversations", "conversation_id")
    events = rows(stage, "timeline_events", "event_id")
    done = stage.advance(HOURS, **STILL | {"messages": 40})
    new = rows(stage, "timeline_events", "event_id").keys() - events.keys()
    assert new == set(done["messages"])
    moved = changed(before, rows(stage, "conversations", "conversation_id"))
    assert moved == {
        row["conversation_id"] for row in stage.truth("timeline_events") if row["event_id"] in new
    }


def test_statuses_move_on_without_any_activity(stage):
    before = rows(stage, "timeline_events", "event_id")
    active = {r["conversation_id"]: r["last_activity_at"] for r in stage.truth("conversations")}
    done = stage.advance(HOURS, **STILL | {"status_changes": 25})
    after = rows(stage, "timeline_events", "event_id")
    assert changed(before, after) == set(done["status_changes"])
    order = ("pending", "sent", "failed", "delivered", "read")
    for key in done["status_changes"]:
        assert order.index(after[key]["status"]) > order.index(before[key]["status"])
    assert active == {
        r["conversation_id"]: r["last_activity_at"] for r in stage.truth("conversations")
    }


def test_summaries_come_late_and_only_to_calls_of_half_a_minute(stage):
    before = rows(stage, "timeline_events", "event_id")
    done = stage.advance(HOURS, **STILL | {"late_summaries": 4})["late_summaries"]
    after = rows(stage, "timeline_events", "event_id")
    assert changed(before, after) == set(done)
    assert len(done) == 4
    for key in done:
        assert before[key]["ai_summary"] is None
        assert after[key]["ai_summary"]
        assert after[key]["duration_seconds"] >= 30


def test_tags_and_properties_change(stage):
    tags = rows(stage, "tags", "tag_id")
    definitions = rows(stage, "property_definitions", "property_id")
    stage.advance(HOURS, **STILL | {"tag_changes": 3, "property_changes": 2})
    assert len(changed(tags, rows(stage, "tags", "tag_id"))) == 1
    assert len(changed(definitions, rows(stage, "property_definitions", "property_id"))) == 2


def test_deleted_contacts_come_back_as_they_were(stage):
    tables = ("contacts", "contact_notes", "contact_properties", "contact_history")
    before = {table: sorted(map(repr, stage.truth(table))) for table in tables}
    gone = stage.advance(HOURS, **STILL | {"deleted_contacts": 5})["deleted_contacts"]
    back = stage.advance(HOURS, **STILL | {"restored_contacts": 3})["restored_contacts"]
    assert stage.deleted("contacts") == set(gone) - set(back)
    assert set(stage.restore_contacts(gone)) == set(gone) - set(back)
    assert before == {table: sorted(map(repr, stage.truth(table))) for table in tables}
    assert not stage.deleted("contact_notes") | stage.deleted("contact_history")
    assert stage.restore_contacts(1) == [], "nobody is gone any more"


def test_deleted_conversations_come_back_with_their_timelines(stage):
    talks = rows(stage, "conversations", "conversation_id")
    events = rows(stage, "timeline_events", "event_id")
    gone = stage.delete_conversations(4)
    assert stage.truth_counts()["timelines"] < 2_000
    assert set(stage.restore_conversations(4)) == set(gone)
    assert rows(stage, "conversations", "conversation_id") == talks
    assert rows(stage, "timeline_events", "event_id") == events
    assert stage.deleted("timeline_events") == stage.deleted("conversations") == set()


def test_what_was_deleted_from_all_does_not_come_back_with_one(stage):
    [contact], [talk] = stage.delete_contacts(1), stage.delete_conversations(1)
    stage.delete_tags(12)
    stage.delete_property_definitions(8)
    stage.restore_contacts([contact])
    stage.restore_conversations([talk])
    assert stage.truth("contact_properties") == stage.truth("conversation_tags") == []


def test_a_conversation_is_closed_without_any_activity(stage):
    before = rows(stage, "conversations", "conversation_id")
    closed = stage.advance(HOURS, **STILL | {"closed": 5})["closed"]
    after = rows(stage, "conversations", "conversation_id")
    assert changed(before, after) == set(closed)
    for key in closed:
        assert before[key] | {"status": "closed"} == after[key]
        assert before[key]["status"] == "open"


def test_the_same_seed_lives_through_the_same_future():
    def future():
        stage = Stage(WorldSpec(contacts=30, conversations=30, events=300))
        stage.advance(HOURS)
        stage.advance(HOURS, deleted_conversations=2)
        return stage.truth("timeline_events"), stage.truth("contacts")

    assert future() == future()


def test_a_server_can_be_had_and_directed_without_being_started():
    server = RehearsalServer(WorldSpec(contacts=5, conversations=5, events=10))
    assert server.delete_contacts(2)
    assert server.truth_counts()["contacts"] == 3
    server.stop()
