"""What can happen to the world in the middle of a scan, on an exactly known request."""

from rehearsal import Actions, Fault
from tests.rehearsal.conftest import CHANNELS, CONTACTS, CONVERSATION


def scan(client, path, size=10):
    """A careless reader: steps by rows received and believes what it gets."""
    return [row["id"] for row in client.all(path, size=size)]


def test_rows_that_were_read_can_vanish_and_a_careless_scan_loses_others(server, client):
    before = {row["contact_id"] for row in server.truth("contacts")}
    server.fault(Fault(stream="contacts", nth=4, then=Actions.delete_read_contacts(20)))
    seen = scan(client, CONTACTS)
    gone = server.deleted("contacts")
    assert gone == set(seen[:20])
    lost = before - gone - set(seen)
    assert len(lost) == 20, "the next pages began 20 rows further on"
    assert client.get(f"{CONTACTS}/{seen[0]}").status_code == 404


def test_unread_conversations_can_jump_to_the_front_and_are_missed(server, client):
    path = f"{CONVERSATION}/channels/{client.all(CHANNELS)[0]['id']}"
    everything = set(scan(client, path, size=1000))
    server.fault(Fault(path=path, nth=2, then="unread_conversations_jump 2"))
    seen = scan(client, path, size=5)
    missed = everything - set(seen)
    assert len(missed) == 2
    assert len(seen) == len(set(seen)) + 2, "two rows were served again"
    assert set(scan(client, path)[:2]) == missed


def test_rows_can_be_inserted_during_a_scan(server, client):
    server.fault(Fault(stream="contacts", nth=2, then="add_contacts 3"))
    seen = scan(client, CONTACTS)
    assert len(seen) - len(set(seen)) == 3, "new rows come first and push the others down"


def test_the_page_can_shrink_silently_during_a_scan(server, client):
    server.fault(Fault(stream="contacts", nth=2, then=Actions.page_cap(5)))
    assert len(set(scan(client, CONTACTS, size=20))) == 60
    assert server.requests_by_stream()["contacts"] == 1 + 8


def test_tokens_can_be_revoked_on_the_very_request_that_uses_one(server, client):
    server.fault(Fault(stream="contacts", nth=2, then="revoke_tokens"))
    assert [client.get(CONTACTS).status_code for _ in range(3)] == [200, 401, 401]


def test_an_action_can_be_any_callable_and_come_with_a_fault(server, client):
    chosen = server.truth("conversations")[7]["conversation_id"]
    server.fault(Fault("500", then=lambda stage: stage.touch_conversations([chosen])))
    assert client.get(CONTACTS).status_code == 500
    talks = sorted(server.truth("conversations"), key=lambda row: row["last_activity_at"])
    assert talks[-1]["conversation_id"] == chosen


def test_deleting_a_conversation_takes_its_timeline_along(server, client):
    talk = max(server.truth("conversations"), key=lambda row: row["event_count"])
    path = f"{CONVERSATION}/{talk['conversation_id']}"
    assert client.get(f"{path}/timeline").status_code == 200
    assert server.delete_conversations([talk["conversation_id"]]) == [talk["conversation_id"]]
    assert client.get(f"{path}/timeline").status_code == client.get(path).status_code == 404
    assert len(server.deleted("timeline_events")) == talk["event_count"]


def test_deleting_a_tag_takes_it_off_its_conversations(server):
    [tag] = server.delete_tags(1)
    assert tag not in {row["tag_id"] for row in server.truth("conversation_tags")}
    assert server.deleted("tags") == {tag}
