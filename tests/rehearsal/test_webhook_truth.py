"""The truth of webhooks is what a careful merger makes of the files and the timelines."""

from collections import Counter
from datetime import timedelta

import pytest

from rehearsal import Habits, WorldSpec
from rehearsal.stage import Stage
from tests.rehearsal import careful_webhooks, postbag

BUSY = WorldSpec(contacts=60, conversations=90, events=1_500, unknown_codes=0.01)
RAGGED = Habits(nulls=0.5, without_event_id=0.4, edits=0.2, refires=0.8, flat_calls=0.5, words=0.5)


@pytest.fixture
def stage():
    return Stage(BUSY)


def read(directory):
    """Unwrapped bodies by kind, each distinct one at its earliest stated receipt, in that order."""
    earliest = {}
    for found in postbag.bodies(directory):
        if found.body:
            known = earliest.setdefault(found.id, found)
            if rank(found) < rank(known):
                earliest[found.id] = found
    reported = {"message": [], "call": [], "ivr": [], "workspace": []}
    for found in sorted(earliest.values(), key=lambda found: (found.received_at, found.id)):
        body = postbag.unwrapped(found.body)
        received = (found.received_at, found.id)
        stated = {"received": received, "is_stated": is_stated(found)}
        reported[postbag.kind(body)].append(body | stated)
    return reported


def rank(found):
    return not is_stated(found), found.received_at


def is_stated(found):
    """Whether an envelope says when it came; else the time of the file stands in."""
    return found.headers is not None


def assert_truth_is_told(stage, directory, timelines=None):
    reported = read(directory)
    timeline = [
        row
        for row in stage.truth("timeline_events")
        if timelines is None or row["conversation_id"] in timelines
    ]
    talks = {
        (row["contact_id"], row["channel_id"]): row["conversation_id"]
        for row in stage.truth("conversations")
    }
    same(
        stage.truth("messages", timelines), careful_webhooks.messages(timeline, reported["message"])
    )
    same(stage.truth("calls", timelines), careful_webhooks.calls(timeline, reported["call"], talks))
    same(stage.truth("ivr_calls"), careful_webhooks.ivr_calls(reported["ivr"]))


def same(true, read):
    true, read = (dict(keyed(row) for row in rows) for rows in (list(true), list(read)))
    assert true.keys() == read.keys()
    for key, row in read.items():
        assert true[key] == row, key


def keyed(row):
    """A row by its key; without any id, its contents."""
    name, key = next(iter(row.items()))
    if key.startswith("hash:"):
        key = tuple(row[part] for part in ("conversation_id", "sent_at", "direction", "body"))
    return key, row | {name: key}


@pytest.mark.parametrize(
    "rates",
    [
        {"late": 0.0, "reordered": 0.0},
        {"lost": 0.2, "repeated": 0.2, "reordered": 0.5, "late": 0.3, "empty": 0.05},
        {"lost": 0.9, "seed": 3},
    ],
    ids=["nothing goes wrong", "much goes wrong", "nearly all is lost"],
)
def test_messages_and_calls_are_what_files_and_timelines_say(stage, tmp_path, rates):
    stage.write_webhooks(tmp_path, **rates)
    assert_truth_is_told(stage, tmp_path)


def test_and_where_ids_are_missing_and_much_is_edited(tmp_path):
    stage = Stage(WorldSpec(contacts=60, conversations=90, events=1_500, habits=RAGGED))
    stage.write_webhooks(tmp_path, lost=0.3, repeated=0.1, late=0.5)
    assert_truth_is_told(stage, tmp_path)
    read_by = Counter(
        row["message_key"].partition(":")[0][:5] for row in stage.truth("messages", ())
    )
    numbered = {row["source_id"] for row in stage.truth("timeline_events")}
    assert any(row["event_id"] for row in stage.truth("calls") if row["call_key"] not in numbered)
    assert read_by["wamid"] > 5
    assert read_by["hash"] > 5


def test_and_while_some_timelines_are_still_unread(stage, tmp_path):
    stage.write_webhooks(tmp_path, lost=0.1)
    some = [row["conversation_id"] for row in stage.truth("conversations")][::3]
    for timelines in ((), some):
        assert_truth_is_told(stage, tmp_path, timelines)
    assert not any(row["in_timeline"] for row in stage.truth("messages", ()))


def test_and_as_time_goes_on(stage, tmp_path):
    since = stage.now - timedelta(days=3)
    for _ in range(4):
        stage.write_webhooks(tmp_path, since, lost=0.1)
        since = stage.now
        stage.advance(timedelta(hours=5), messages=80, status_changes=60, late_summaries=9)
    stage.write_webhooks(tmp_path, since)
    assert_truth_is_told(stage, tmp_path)


def test_nothing_that_was_told_is_taken_back_as_time_goes_on(stage, tmp_path):
    before = stage.write_webhooks(tmp_path / "before", late=0)
    until = stage.now
    stage.advance(timedelta(hours=9), messages=50, status_changes=90, late_summaries=9)
    again = stage.write_webhooks(tmp_path / "again", until=until, late=0)
    assert {r.delivery_id for r in again.receipts} == {r.delivery_id for r in before.receipts}


def test_without_any_webhook_messages_and_calls_are_what_timelines_say(stage):
    rows = stage.truth("messages") + stage.truth("calls")
    assert {row["event_id"] for row in rows} == {
        row["event_id"] for row in stage.truth("timeline_events") if row["source"] != "assignation"
    }
    assert not any(row["in_webhooks"] for row in rows)
    assert stage.truth("ivr_calls") == []


def test_billing_is_certain_with_every_delivery_and_never_true_against_the_truth(tmp_path):
    stage = Stage(BUSY)
    stage.write_webhooks(tmp_path, stage.now - timedelta(days=120), lost=0.05)
    stored = {row["message_key"]: row for row in stage.truth("messages")}
    seen = Counter()
    for true in stage.billing():
        row = stored.get(true["event_id"])
        seen[true["received"], true["is_charged"]] += 1
        reported = row["is_billable"], row["is_charged"]
        if true["received"] == "all":
            assert reported == (true["is_billable"], true["is_charged"])
        elif true["received"] == "none":
            assert row["is_billable"] is None
            assert not row["is_charged"]
        elif row["is_charged"]:
            assert true["is_charged"]
    assert all(seen[part, charged] for part in ("all", "some", "none") for charged in (True, False))
    assert sum(seen[part] for part in seen if part[0] == "scattered") < 10
