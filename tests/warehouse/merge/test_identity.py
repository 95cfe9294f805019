"""Which deliveries and events are one message: the rules of docs/contract.md, a test each."""

from __future__ import annotations

import pytest

from tests.warehouse.merge.world import World, at, event, message, sent


def keys(world: World) -> list[str]:
    world.merge()
    return [row["message_key"] for row in world.rows("messages")]


def test_equal_event_ids_are_one_message_and_it_bears_the_timelines_key(world: World) -> None:
    world.put(
        message(conversationEventId="E1", status="Pending"), message(conversationEventId="e1")
    )
    assert keys(world) == ["e1"]
    world.list(event("e1"))
    assert keys(world) == ["e1"]


def test_equal_message_ids_on_one_channel_are_one_message(world: World) -> None:
    world.put(message(messageId="W"), message(messageId="W", status="Read"))
    assert keys(world) == ["wamid:W"]


def test_message_ids_are_spelt_as_sent(world: World) -> None:
    world.put(message(messageId="Wa"), message(messageId="wA"))
    assert keys(world) == ["wamid:Wa", "wamid:wA"]


def test_equal_message_ids_on_two_channels_are_two_messages(world: World) -> None:
    world.put(
        message(messageId="W", channelId="a"),
        message(messageId="W", channelId="b", conversationId="v2"),
    )
    assert keys(world) == ["wamid:W", "wamid:W@b"]


def test_a_delivery_with_both_ids_links_those_with_one(world: World) -> None:
    world.put(
        message(conversationEventId="e1", status="Pending"),
        message(messageId="W", status="Read"),
        message(messageId="W", conversationEventId="e1"),
    )
    assert keys(world) == ["e1"]


def test_a_message_id_with_two_event_ids_leaves_two_messages_and_the_rest_goes_to_the_smaller(
    world: World,
) -> None:
    world.put(
        message(messageId="W", conversationEventId="e2"),
        message(messageId="W", conversationEventId="e1"),
        message(messageId="W", status="Read"),
    )
    assert keys(world) == ["e1", "e2"]
    assert [row["status"] for row in world.rows("messages")] == ["read", "sent"]


@pytest.mark.parametrize(("seconds", "joins"), [(0, True), (2, True), (-2, True), (2.001, False)])
def test_a_message_and_an_event_that_say_the_same_within_two_seconds_are_one(
    world: World, seconds: float, joins: bool
) -> None:
    world.list(event("t", body="hello", occurred_at=at(seconds)))
    world.put(message(messageId="W", body="hello"))
    assert keys(world) == (["t"] if joins else ["t", "wamid:W"])
    assert [row["is_joined_by_time"] for row in world.rows("messages")].count(True) == joins


@pytest.mark.parametrize(
    "other",
    [
        {"body": "other"},
        {"body": None},
        {"direction": "inbound"},
        {"conversation_id": "v2"},
    ],
)
def test_what_differs_in_text_direction_or_conversation_stays_apart(
    world: World, other: dict[str, object]
) -> None:
    world.list(event("t", **{"body": "hello", **other}))
    world.put(message(messageId="W", body="hello"))
    assert keys(world) == ["t", "wamid:W"]


def test_two_images_without_text_say_the_same(world: World) -> None:
    world.list(event("t", body=None))
    world.put(message(messageId="W", messageType="Image"))
    assert keys(world) == ["t"]


def test_an_event_id_that_the_timeline_does_not_have_is_no_hindrance(world: World) -> None:
    world.list(event("t", body="hello"))
    world.put(message(conversationEventId="other", body="hello"))
    assert keys(world) == ["t"]


def test_an_event_that_a_message_names_is_no_candidate_for_another(world: World) -> None:
    world.list(event("t", body="hello"))
    world.put(message(conversationEventId="t", body="hello"), message(messageId="W", body="hello"))
    assert keys(world) == ["t", "wamid:W"]


def test_two_equal_texts_a_second_and_a_half_apart_stay_apart_from_two_events(
    world: World,
) -> None:
    world.list(event("t1", body="yes"), event("t2", body="yes", occurred_at=at(1.5)))
    world.put(
        message(messageId="W1", body="yes"),
        message(messageId="W2", body="yes", creationTime=sent(at(1.5))),
    )
    assert keys(world) == ["t1", "t2", "wamid:W1", "wamid:W2"]


def test_a_rows_parting_follows_a_second_candidate(world: World) -> None:
    world.list(event("t1", body="yes"))
    world.put(message(messageId="W", body="yes"))
    assert keys(world) == ["t1"]
    world.list(event("t2", body="yes", occurred_at=at(1)))
    assert keys(world) == ["t1", "t2", "wamid:W"]
    world.put(message(messageId="W", conversationEventId="t2", body="yes", status="Read"))
    assert keys(world) == ["t1", "t2"]


def test_a_delivery_without_ids_joins_the_only_message_of_that_instant_and_text(
    world: World,
) -> None:
    world.put(
        message(status="Pending", body="hi"),
        message(messageId="W", body="hi"),
        message(messageId="W2", body="other"),
    )
    assert keys(world) == ["wamid:W", "wamid:W2"]


def test_a_delivery_without_ids_that_fits_two_messages_stands_alone(world: World) -> None:
    world.put(
        message(status="Pending", body="hi"),
        message(messageId="W1", body="hi"),
        message(messageId="W2", body="hi"),
    )
    hashed, *others = keys(world)
    assert hashed.startswith("hash:")
    assert others == ["wamid:W1", "wamid:W2"]


def test_deliveries_without_ids_that_say_the_same_of_one_instant_are_one_message(
    world: World,
) -> None:
    world.put(message(status="Pending"), message(status="Read"))
    (key,) = keys(world)
    assert key.startswith("hash:")
    world.list(event("t"))
    assert keys(world) == ["t"]


def test_a_delivery_without_ids_or_time_is_its_own_message(world: World) -> None:
    world.put(message(creationTime=None), message(creationTime=None, status="Read"))
    assert len(keys(world)) == 2


def test_a_delivery_that_names_no_conversation_finds_its_message_by_id(world: World) -> None:
    world.put(message(conversationEventId="e1", conversationId=None, status="Read"))
    assert keys(world) == ["e1"]
    assert world.one()["conversation_id"] is None
    world.list(event("e1"))
    assert keys(world) == ["e1"]
    assert (world.one()["conversation_id"], world.one()["status"]) == ("v", "read")


def test_an_event_that_moves_to_another_conversation_takes_its_message_along(
    world: World,
) -> None:
    world.list(event("e1"))
    world.put(message(conversationEventId="e1", status="Read"))
    assert keys(world) == ["e1"]
    world.list(event("e1", conversation_id="v2"))
    assert keys(world) == ["e1"]
    assert (world.one()["conversation_id"], world.one()["status"]) == ("v2", "read")


def test_statuses_name_their_message_wherever_it_goes(world: World) -> None:
    world.put(message(status="Pending"), message(messageId="W", status="Sent"))
    world.merge()
    assert {row["message_key"] for row in world.rows("message_statuses")} == {"wamid:W"}
    world.list(event("t"))
    world.merge()
    assert {row["message_key"] for row in world.rows("message_statuses")} == {"t"}


def test_deliveries_without_a_conversation_outlive_the_event_they_named(world: World) -> None:
    named = message(conversationEventId="e1", conversationId=None)
    world.put(named, message(conversationEventId="e2", messageType="MessageDeleted"))
    world.list(event("e1"), event("e2"))
    assert keys(world) == ["e1", "e2"]
    world.list(event("e1", source="assignation"), event("e2", source="assignation"))
    assert keys(world) == ["e1"]
    found = {row["event_id"]: row["message_key"] for row in world.rows("message_statuses")}
    assert found == {"e1": "e1", "e2": None}
    assert world.merge().messages == 0
    assert not world.one()["in_timeline"]
