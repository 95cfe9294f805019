"""Random stories, delivered in two ways: all at once, and in pieces, shuffled, with repetitions."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse.merge.conftest import empty
from tests.warehouse.merge.world import Delivery, World, at, call, call_event, event, message, sent

_TIMES = (0, 1, 1.5, 2, 3)


class Story(NamedTuple):
    """What is reported in one conversation."""

    reported: list[Delivery]
    listed: list[dict[str, Any]]


def _text(number: float, received: float = 9, **more: Any) -> Delivery:
    return message(received, body="yes", creationTime=sent(at(number)), **more)


#: Two equal texts 1.5 s apart; a delivery without ids that fits two messages; a message id with two
#: event ids; images without text.
KNOWN = [
    Story(
        [_text(0, messageId="w1"), _text(1.5, messageId="w2"), _text(0, status="Pending")],
        [event("e1", body="yes"), event("e2", body="yes", occurred_at=at(1.5))],
    ),
    Story(
        [_text(0, messageId="w1"), _text(0, messageId="w2"), _text(0, status="Read")],
        [event("e1", body="yes", occurred_at=at(1))],
    ),
    Story(
        [
            _text(0, messageId="w1", conversationEventId="e2"),
            _text(0, messageId="w1", conversationEventId="e1", status="Pending"),
            _text(0, messageId="w1", status="Read"),
        ],
        [event("e1", body="yes"), event("e2", body="yes", occurred_at=at(1))],
    ),
    Story(
        [
            message(messageType="Image", messageId="w1"),
            message(messageType="Image", status="Pending"),
            message(messageType="Image", creationTime=sent(at(3)), status="Read"),
        ],
        [event("e1"), event("e2", occurred_at=at(3))],
    ),
]

_messages = st.builds(
    lambda received, seconds, **body: message(received, creationTime=sent(at(seconds)), **body),
    received=st.integers(5, 8),
    seconds=st.sampled_from(_TIMES),
    body=st.sampled_from([None, "yes", "no"]),
    conversationEventId=st.sampled_from([None, "e1", "e2"]),
    messageId=st.sampled_from([None, "w1", "w2"]),
    direction=st.sampled_from(["Outbound", "Outbound", "Inbound"]),
    status=st.sampled_from(["Pending", "Sent", "Delivered", "Read", "Failed", "Odd"]),
    messageType=st.sampled_from(["Text", "Text", "Image", "MessageEdited", "MessageDeleted"]),
    isBillable=st.sampled_from([None, False, True]),
    senderUserId=st.sampled_from([None, "u1", "u2"]),
)
_calls = st.builds(
    lambda received, seconds, **body: call(received, creationTime=sent(at(seconds)), **body),
    received=st.integers(5, 8),
    seconds=st.sampled_from((0, 3, 5, 6)),
    callId=st.sampled_from(["c1", "c2"]),
    status=st.sampled_from([8, 0, 1, 2, "Missed", "Odd"]),
    pickupTime=st.sampled_from([None, sent(at(4))]),
    summary=st.sampled_from([None, "one", "two"]),
)
_events = st.builds(
    lambda name, seconds, **columns: event(name, occurred_at=at(seconds), **columns),
    name=st.sampled_from(["e1", "e2", "t1"]),
    seconds=st.sampled_from(_TIMES),
    body=st.sampled_from([None, "yes", "no"]),
    direction=st.sampled_from(["outbound", "outbound", "inbound"]),
    status=st.sampled_from(["sent", "read", "failed"]),
)
_call_events = st.builds(
    lambda name, seconds, **columns: call_event(name, occurred_at=at(seconds), **columns),
    name=st.sampled_from(["ce1", "ce2"]),
    seconds=st.sampled_from((0, 3, 5, 6)),
    source_id=st.sampled_from([None, "c1", "c2"]),
    status=st.sampled_from(["answered", "missed", "ringing"]),
)
_stories = st.builds(
    Story,
    reported=st.lists(_messages | _calls, max_size=8),
    listed=st.lists(_events | _call_events, max_size=4, unique_by=lambda row: row["event_id"]),
)


def _apart(story: Story, number: int) -> Story:
    """The same in a conversation of its own, with ids of its own."""
    ids = ("conversationId", "conversationEventId", "messageId", "contactId", "callId")
    columns = ("conversation_id", "event_id", "contact_id", "source_id")

    def own(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
        return row | {key: f"{row[key]}-{number}" for key in keys if row.get(key) is not None}

    reported = [Delivery(one.kind, own(one.body, ids), one.received_at) for one in story.reported]
    return Story(reported, [own(row, columns) for row in story.listed])


def _outcome(world: World) -> dict[str, list[dict[str, Any]]]:
    statuses = world.rows("message_statuses", "SELECT * EXCLUDE (seq) FROM {}")
    return {"statuses": statuses, "messages": world.rows("messages"), "calls": world.rows("calls")}


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stories=st.lists(_stories, min_size=20, max_size=30), chance=st.integers(0, 1 << 32))
def test_what_is_told_in_pieces_ends_as_what_is_told_at_once(
    world: World, stories: list[Story], chance: int
) -> None:
    own = [_apart(story, number) for number, story in enumerate([*KNOWN, *stories])]
    reported = [one for story in own for one in story.reported]
    listed = [row for story in own for row in story.listed]

    world.lake.write("empty it", empty)
    world.put(*reported)
    world.list(*listed)
    world.merge()
    at_once = _outcome(world)

    world.lake.write("empty it", empty)
    mixed = random.Random(chance)
    again = [*reported, *mixed.sample(reported, len(reported) // 3)]
    mixed.shuffle(again)
    mixed.shuffle(listed)
    for part in range(2):
        world.put(*again[part::2])
        world.list(*listed[part::2])
        world.merge()

    assert _outcome(world) == at_once
