"""What seldom happens to a workspace, as a reader sees it over HTTP."""

from datetime import UTC, datetime, timedelta

from rehearsal import Fault
from rehearsal.ids import guid_instant, micros
from tests.rehearsal.conftest import CHANNELS, CONTACTS, CONVERSATION


def test_a_deleted_channel_takes_its_conversations_along(server, client):
    gone = client.all(CHANNELS)[0]["id"]
    talk = client.all(f"{CONVERSATION}/channels/{gone}")[0]["id"]
    assert server.delete_channels([gone]) == [gone]
    assert gone not in {channel["id"] for channel in client.all(CHANNELS)}
    for path in (f"channels/{gone}", talk, f"{talk}/timeline"):
        assert client.get(f"{CONVERSATION}/{path}").status_code == 404


def test_a_moved_conversation_is_on_the_other_channel_with_its_events(server, client):
    here, there = (channel["id"] for channel in client.all(CHANNELS))
    talks = server.world.by_channel[here].values()
    talk = max(talks, key=lambda one: len(one.events)).id
    server.move_conversations([talk], there)
    assert talk in {t["id"] for t in client.all(f"{CONVERSATION}/channels/{there}")}
    events = client.all(f"{CONVERSATION}/{talk}/timeline")
    assert {event["channelid"] for event in events} == {there}


def test_a_merged_contact_hands_over_history_and_conversations(server, client):
    loser = max(server.world.contacts.values(), key=lambda contact: len(contact.history)).id
    winner = next(one for one in server.world.contacts if one != loser)
    rows = {row["id"] for row in client.all(f"{CONTACTS}/{loser}/history")}
    server.merge_contacts(winner, loser)
    assert client.get(f"{CONTACTS}/{loser}").status_code == 404
    assert rows <= {row["id"] for row in client.all(f"{CONTACTS}/{winner}/history")}
    assert loser not in {talk["contactid"] for talk in client.conversations()}


def test_an_event_dated_ahead_stands_first_and_was_inserted_now(server, client):
    ahead = datetime(2030, 1, 1, tzinfo=UTC)
    [talk] = server.date_ahead(1, ahead)
    event = client.all(f"{CONVERSATION}/{talk}/timeline", Sorting="CreationTime DESC")[0]
    assert event["creationtime"] == "2030-01-01T00:00:00Z"
    assert guid_instant(event["eventid"]) <= micros(server.now)


def test_a_late_backlog_is_dated_before_its_insertion(server, client):
    for event_id in server.deliver_late(3, timedelta(hours=2)):
        talks = server.world.conversations.values()
        event = next(e for talk in talks for e in talk.events if e.id == event_id)
        late = guid_instant(event_id) - event.at
        assert timedelta(hours=1, minutes=59) < timedelta(microseconds=late) < timedelta(hours=3)


def test_an_empty_list_and_a_wrong_date_can_be_had(server, client):
    server.fault(Fault("empty_list", stream="contacts"))
    assert client.get(CONTACTS).json() == {"totalCount": 0, "items": []}
    server.set_quirks(date_off_hours=48)
    assert client.get(CONTACTS).headers["Date"] == "Tue, 03 Nov 2026 09:00:00 GMT"
