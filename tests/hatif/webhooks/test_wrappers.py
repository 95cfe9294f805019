"""Events inside other objects and lists, and objects with the keys of several kinds."""

from __future__ import annotations

from typing import Any

import pytest

from hatif.webhooks.parse import parse_event
from tests.hatif.webhooks.bodies import (
    CALL,
    CHANNEL,
    IVR,
    MESSAGE,
    SPACING,
    TALK,
    payload_of,
    reason_of,
    text_of,
)


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize("event", [MESSAGE, CALL, IVR], ids=["message", "call", "ivr"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda event: {"data": event, "eventType": "Changed"},
        lambda event: {"eventType": "Changed", "payload": event},
        lambda event: {"eventType": "Changed", "id": "evt_1", "event": {"message": event}},
        lambda event: {"Event": {"Body": {"Content": event}}, "EventType": "Changed"},
        lambda event: _pascal({"eventType": "Changed", "payload": {"data": event}}),
        lambda event: {"messageType": None, "eventType": "Changed", "data": event},
        lambda event: {"data": [event], "eventType": "Changed"},
        lambda event: {"events": [event]},
        lambda event: {"a": {"b": [1, None, [{"c": event}]]}},
    ],
)
def test_an_event_is_found_in_any_wrapper_of_three_levels(
    wrap: Any, event: dict[str, Any], separators: tuple[str, str]
) -> None:
    body = text_of(wrap(event), separators)
    found = parse_event(body)
    assert found.kind == parse_event(text_of(event)).kind
    assert found.channel_id == CHANNEL
    assert payload_of(found, body).items() >= event.items()


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"eventType": "x", "a": {"b": {"c": {"d": MESSAGE}}}}, "unknown_kind"),
        (
            {"eventType": "x", "conversationId": TALK, "a": {"b": [{"c": {"d": IVR}}]}},
            "unknown_kind",
        ),
        ({"eventType": "x", "id": TALK, "events": [CALL, MESSAGE]}, "several_events"),
        ({"eventType": "x", "old": MESSAGE, "new": MESSAGE}, "several_events"),
        ({"data": {"id": TALK, "call": {"callId": "1"}}, "eventType": "x"}, "missing_ids"),
        ({"data": [{"id": TALK}], "eventType": "x"}, "not_an_object"),
    ],
)
def test_an_event_that_holds_another_is_never_a_workspace_event(
    body: dict[str, Any], why: str, separators: tuple[str, str]
) -> None:
    assert reason_of(text_of(body, separators)) == why


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"id": TALK, "status": 1}, "eventType": "LastEventUpdated"},
        {"eventType": "LastEventUpdated", "conversationId": TALK, "data": {"status": 1}},
        {"eventType": "LastEventUpdated", "conversationId": TALK, "data": None},
        {"EventType": "LastEventUpdated", "Data": {"ConversationId": TALK.upper()}},
        {"conversationId": TALK, "assignedUserId": None, "labels": {"a": [1, {"b": 2}]}},
    ],
)
def test_a_workspace_event_names_its_conversation(body: dict[str, Any]) -> None:
    found = parse_event(text_of(body))
    assert (found.kind, found.conversation_id) == ("workspace", TALK)


def test_what_a_wrapper_says_of_its_event_counts_where_the_event_does_not_say_it() -> None:
    inner = {key: value for key, value in CALL.items() if key != "channelId"}
    body = text_of({"eventType": "x", "channelId": CHANNEL, "call": inner | {"contactId": "c"}})
    assert (
        payload_of(parse_event(body), body).items()
        >= {"channelId": CHANNEL, "contactId": "c"}.items()
    )


_ALL_KEYS = dict.fromkeys(("messageType", "callId", "destinationNumber", "eventType", "body"))


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize("wrap", [dict, lambda event: {"data": event, "eventType": "x"}])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (_ALL_KEYS | MESSAGE, "message"),
        (_ALL_KEYS | CALL, "call"),
        (_ALL_KEYS | IVR, "ivr"),
        (_ALL_KEYS | MESSAGE | {"messageType": None}, "message"),
        (IVR | {"destinationNumber": None, "callId": "c", "result": 1}, "ivr"),
        (CALL | {"destinationNumber": None, "result": None}, "call"),
        ({"messageType": None, "eventType": "x", "conversationId": TALK}, "workspace"),
    ],
)
def test_a_key_whose_value_is_null_gives_no_kind(
    body: dict[str, Any], kind: str, wrap: Any, separators: tuple[str, str]
) -> None:
    assert parse_event(text_of(wrap(body), separators)).kind == kind
