"""What the service tells by webhook of messages, calls and more, as live observers saw it."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from rehearsal import WorldSpec
from rehearsal.stage import Stage
from tests.rehearsal import postbag

WORLD = WorldSpec(contacts=150, conversations=200, events=5_000)


@pytest.fixture(scope="module")
def stage():
    return Stage(WORLD)


@pytest.fixture(scope="module")
def reported(stage, tmp_path_factory):
    """Everything ever sent, by kind: unwrapped bodies in the order they were sent."""
    directory = tmp_path_factory.mktemp("reported")
    stage.write_webhooks(directory, late=0, formats=["json_envelope", "ndjson.gz"])
    found = defaultdict(list)
    distinct = {one.id: one for one in postbag.bodies(directory)}
    for one in sorted(distinct.values(), key=lambda one: one.received_at):
        body = postbag.unwrapped(one.body)
        found[postbag.kind(body)].append(body | {"at": one.received_at, "raw": one.body})
    return found


@pytest.fixture(scope="module")
def lifecycles(reported):
    """Deliveries by message, edits left out, those without an event id too."""
    found = defaultdict(list)
    for t in reported["message"]:
        if t.get("conversationeventid") and not t["messagetype"].startswith("Message"):
            found[t["conversationeventid"]].append(t)
    return found


def test_outbound_messages_are_told_of_at_each_status_in_the_end_the_timelines(stage, lifecycles):
    events = {row["event_id"]: row for row in stage.truth("timeline_events")}
    full = skipped = 0
    for event_id, ts in lifecycles.items():
        words = [t["status"].lower() for t in ts]
        order = ["pending", "sent", "failed", "delivered", "read"]
        if ts[0]["direction"] == "Outbound":
            assert len(words) == len(set(words))
            full += set(words) == {"pending", "sent", "delivered", "read"}
            skipped += set(words) == {"pending", "sent", "read"}
            status = events[event_id]["status"]
            assert status not in order or max(map(order.index, words)) <= order.index(status)
    assert full > 300
    assert skipped, "Delivered may never arrive when Read does"


def test_all_deliveries_of_a_message_tell_its_own_time_and_ids(stage, lifecycles):
    events = {row["event_id"]: row for row in stage.truth("timeline_events")}
    for event_id, ts in lifecycles.items():
        assert len({t["creationtime"] for t in ts}) == 1
        created = datetime.fromisoformat(ts[0]["creationtime"])
        assert timedelta(0) <= created - events[event_id]["occurred_at"] < timedelta(seconds=1)
        assert {t["conversationid"] for t in ts} == {events[event_id]["conversation_id"]}
        assert all(t["at"] > created for t in ts)
        assert len({t.get("messageid") for t in ts} - {None}) <= 1


def test_message_ids_are_null_while_pending_and_on_some_first_inbound_events(reported):
    pending = [t for t in reported["message"] if t["status"] == "Pending"]
    assert not any(t.get("messageid") for t in pending)
    inbound = [t for t in reported["message"] if t["direction"] == "Inbound"]
    assert 0 < sum(not t.get("messageid") for t in inbound) < len(inbound) / 4
    assert any(not t.get("conversationeventid") for t in reported["message"])


def test_types_go_with_what_the_timeline_shows(stage, lifecycles):
    events = {row["event_id"]: row for row in stage.truth("timeline_events")}
    kinds = Counter()
    media = {"Image": "jpg", "Sticker": "jpg", "Video": "mp4", "Audio": "ogg", "Document": "pdf"}
    for event_id, ts in lifecycles.items():
        [kind] = {t["messagetype"] for t in ts}
        row = events[event_id]
        kinds[kind, ts[0]["direction"]] += 1
        assert (row["attachment_url"] or "").endswith(media.get(kind, ""))
        assert {t.get("mediaurl") for t in ts} == {row["attachment_url"]}
        assert (kind == "Location") == (row["latitude"] is not None and not row["attachment_url"])
        assert {t.get("body") for t in ts} == {None if kind == "Unsupported" else row["body"]}
    assert {kind for kind, _ in kinds} == {
        *media, "Text", "Location", "Contact", "Interactive", "Template", "Unsupported"
    }  # fmt: skip
    assert not kinds["Template", "Inbound"]


def test_edits_and_withdrawals_come_as_types_of_their_own(reported):
    kinds = Counter(t["messagetype"] for t in reported["message"])
    assert kinds["MessageEdited"]
    assert kinds["MessageDeleted"]
    assert not any(
        t["isbillable"] for t in reported["message"] if t["messagetype"] == "MessageEdited"
    )


def test_senders_are_people_of_the_portal_and_never_agents_or_customers(stage, reported):
    people = {row["user_id"] for row in stage.truth("users") if not row["is_ai_agent"]}
    senders = {t.get("senderuserid") for t in reported["message"]} - {None}
    assert senders <= people
    assert senders
    assert not any(
        t.get("senderuserid") for t in reported["message"] if t["direction"] == "Inbound"
    )


def test_only_chargeable_messages_are_ever_billable_and_never_while_pending(stage, lifecycles):
    true = {row["event_id"]: row for row in stage.billing()}
    october = datetime(2026, 10, 1, tzinfo=UTC)
    seen = Counter()
    for event_id, ts in lifecycles.items():
        flags = [(t["status"], t["isbillable"]) for t in ts]
        is_chargeable = true[event_id]["is_chargeable"]
        assert ("Pending", True) not in flags
        assert all((status, is_chargeable) in flags for status, _ in flags if status == "Sent")
        assert sum(flag for status, flag in flags if status in ("Delivered", "Read")) <= 1
        is_new = datetime.fromisoformat(ts[0]["creationtime"]) >= october
        if ts[0]["direction"] == "Outbound":
            seen[is_chargeable, ts[0]["messagetype"] == "Template", is_new] += 1
        else:
            assert not is_chargeable
        seen["false again"] += ("Delivered", True) in flags and ("Read", False) in flags
        seen["false first"] += ("Delivered", False) in flags and ("Read", True) in flags
    assert not seen[True, False, False], "replies were free until October 2026"
    assert seen[True, False, True]
    assert seen[False, True, False]
    assert seen["false again"] > seen["false first"] > 0


def test_failures_tell_why_and_only_they(reported):
    failed = [t for t in reported["message"] if t["status"] == "Failed"]
    assert {type(t["errorcode"]) for t in failed if t.get("errorcode")} == {int, str}
    assert not any(t.get("errorcode") for t in reported["message"] if t["status"] != "Failed")


def test_calls_ring_end_and_are_told_of_again_with_more(reported):
    calls = defaultdict(list)
    for t in reported["call"]:
        calls[t["callid"]].append(t)
    ringing = [[t for t in ts if t["status"] in (8, "Ringing")] for ts in calls.values()]
    assert {len(ts) for ts in ringing} == {1}
    again = [ts for ts in calls.values() if sum(bool(t.get("hanguptime")) for t in ts) > 1]
    recorded = [[bool(t.get("recordingurl")) for t in ts if t.get("hanguptime")] for ts in again]
    assert sum(set(found) == {True, False} for found in recorded) > 30
    summaries = [t for t in reported["call"] if t.get("summary")]
    assert all(t["sentiment"] for t in summaries)
    assert any(t.get("csatrating") for t in reported["call"])
    missed = [t for t in reported["call"] if t["status"] in (2, "Missed")]
    assert {bool(t.get("pickuptime")) for t in missed} == {True, False}


def test_calls_come_in_both_shapes_and_with_numbers_or_words(reported):
    shapes = {("data" in postbag.lower(json.loads(t["raw"]))) for t in reported["call"]}
    assert shapes == {True, False}
    assert {type(t["status"]) for t in reported["call"]} == {int, str}
    assert {type(t["type"]) for t in reported["call"]} == {int, str}
    assert all("isaicall" in t for t in reported["call"])
    assert not any("conversationid" in t for t in reported["call"])


def test_automatic_calls_come_with_numbers_and_in_both_vocabularies(tmp_path):
    stage = Stage(WorldSpec(contacts=100, conversations=150, events=4_000))
    stage.write_webhooks(tmp_path)
    reported = [postbag.unwrapped(one.body) for one in postbag.bodies(tmp_path)]
    reported = [t for t in reported if postbag.kind(t) == "ivr"]
    statuses = {t["status"] for t in reported}
    assert statuses & set(range(8))
    assert {"Initiated", "Pending"} <= statuses
    assert {t["callid"] for t in reported} <= {row["call_key"] for row in stage.truth("calls")}


def test_workspace_events_name_a_conversation_and_no_time(stage, reported):
    talks = {row["conversation_id"] for row in stage.truth("conversations")}
    events = reported["workspace"]
    assert {t["eventtype"] for t in events} == {"AssignedUserIdChanged", "LastEventUpdated"}
    assert {t.get("id") or t.get("conversationid") for t in events} <= talks
    assert {("id" in t, "conversationid" in t) for t in events} == {(True, False), (False, True)}
    assert not any("creationtime" in t for t in events)


def test_bodies_differ_in_casing_escapes_and_missing_or_strange_keys(reported):
    raw = [t["raw"] for t in reported["message"]]
    assert any(b'"MessageType"' in one for one in raw)
    assert any(rb"\u06" in one for one in raw)
    assert any(b"campaignHint" in one for one in raw)
    assert any(b"errorCode" not in one for one in raw)
