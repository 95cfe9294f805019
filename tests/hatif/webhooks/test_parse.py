"""From the bytes of a body to its event: nested, in other spellings, with values of other types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hatif.webhooks.parse import Event, parse_event
from hatif.webhooks.reasons import InvalidUnit

CHANNEL = "3a1f0000-0000-0000-0000-0000000000c1"
TALK = "3a1f0000-0000-0000-0000-0000000000a1"
NO_ID = "00000000-0000-0000-0000-000000000000"
MESSAGE: dict[str, Any] = {
    "channelId": CHANNEL,
    "conversationId": TALK,
    "conversationEventId": "3a1f0000-0000-0000-0000-0000000000e1",
    "messageType": "Text",
    "direction": "Outbound",
    "status": "Sent",
    "creationTime": "2026-11-01T10:00:00Z",
    "isBillable": True,
}
CALL: dict[str, Any] = {
    "callId": "3a1f0000-0000-0000-0000-0000000000d1",
    "channelId": CHANNEL,
    "status": 1,
    "creationTime": "2026-11-01T10:00:00Z",
}
IVR: dict[str, Any] = {
    "id": "3a1f0000-0000-0000-0000-0000000000f1",
    "channelId": CHANNEL,
    "destinationNumber": "0",
    "creationTime": "2026-11-01T10:00:00Z",
}
#: Both ways of reading: compact text takes the fast one.
SPACING = [pytest.param((",", ":"), id="compact"), pytest.param((", ", ": "), id="spaced")]


def _text(value: object, separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps(value, separators=separators).encode()


def _read(event: Event, body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.payload or body, parse_int=float)
    return found


def _reason(body: bytes) -> str:
    with pytest.raises(InvalidUnit) as caught:
        parse_event(body)
    return caught.value.reason


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
    ],
)
def test_an_event_is_found_in_any_wrapper_of_three_levels(
    wrap: Any, event: dict[str, Any], separators: tuple[str, str]
) -> None:
    body = _text(wrap(event), separators)
    found = parse_event(body)
    assert found.kind == parse_event(_text(event)).kind
    assert found.channel_id == CHANNEL
    assert _read(found, body).items() >= event.items()


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"eventType": "x", "a": {"b": {"c": {"d": MESSAGE}}}}, "unknown_kind"),
        ({"eventType": "x", "id": TALK, "events": [CALL]}, "unknown_kind"),
        ({"eventType": "x", "conversationId": TALK, "a": {"b": [{"c": IVR}]}}, "unknown_kind"),
        ({"eventType": "x", "old": MESSAGE, "new": MESSAGE}, "several_events"),
        ({"data": {"id": TALK, "call": {"callId": "1"}}, "eventType": "x"}, "missing_ids"),
        ({"data": [CALL], "eventType": "x"}, "not_an_object"),
    ],
)
def test_an_event_that_holds_another_is_never_a_workspace_event(
    body: dict[str, Any], reason: str, separators: tuple[str, str]
) -> None:
    assert _reason(_text(body, separators)) == reason


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
    found = parse_event(_text(body))
    assert (found.kind, found.conversation_id) == ("workspace", TALK)


def test_what_a_wrapper_says_of_its_event_counts_where_the_event_does_not_say_it() -> None:
    inner = {key: value for key, value in CALL.items() if key != "channelId"}
    body = _text({"eventType": "x", "channelId": CHANNEL, "call": inner | {"contactId": "c"}})
    assert (
        _read(parse_event(body), body).items() >= {"channelId": CHANNEL, "contactId": "c"}.items()
    )


READ_SURELY = [
    *[("isBillable", sent, True) for sent in ("true", "True", " TRUE ", 1, 1.0, "1")],
    *[("isBillable", sent, False) for sent in ("false", 0, "0", 0.0)],
    *[("errorCode", sent, 131047) for sent in (131047.0, 131047)],
    *[("errorCode", sent, sent) for sent in ("131047", "no number", "")],
    *[("body", 5, "5"), ("body", 2.5, "2.5"), ("errorReason", 404, "404")],
    *[("latitude", "24.5", 24.5), ("longitude", " 46 ", 46), ("latitude", "", None)],
    *[("status", 2.0, 2), ("senderUserId", 17, "17"), ("mediaUrl", None, None)],
]


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(("key", "sent", "read"), READ_SURELY)
def test_a_value_of_another_type_that_can_be_read_surely_is_read(
    key: str, sent: object, read: object, separators: tuple[str, str]
) -> None:
    body = _text(MESSAGE | {key: sent}, separators)
    found = parse_event(body)
    value = _read(found, body)[key]
    assert (value, type(value) is bool) == (read, type(read) is bool)
    assert found.unreadable == ()


UNREADABLE = [
    (kind, key, value)
    for kind, keys in {
        "message": (
            *("body", "mediaUrl", "mimeType", "senderUserId", "errorReason", "errorCode"),
            *("isBillable", "latitude", "longitude", "workspaceId"),
        ),
        "call": (
            *("userName", "recordingUrl", "summary", "sentiment", "csatRating", "csatMethod"),
            *("isAiCall", "pickupTime", "hangupTime", "csatCollectedAt", "userId", "callLength"),
        ),
        "ivr": ("externalId", "callId", "result", "pressedDigit", "answeredAt", "hangupCause"),
    }.items()
    for key in keys
    for value in (["a"], [], True, {"un": "expected"})
    if not (key in ("isBillable", "isAiCall") and value is True)
]


@pytest.mark.parametrize(("kind", "key", "value"), UNREADABLE)
def test_a_minor_value_that_cannot_be_read_is_null_and_named(
    kind: str, key: str, value: object
) -> None:
    event = {"message": MESSAGE, "call": CALL, "ivr": IVR}[kind]
    body = _text(event | {key: value})
    found = parse_event(body)
    assert found.unreadable == (key,)
    assert _read(found, body) == event | {key: None}


@pytest.mark.parametrize(
    "text",
    [
        *(b"9" * 400, b"9" * 5_000, b"1e400", b"-1e999999999999999999999", b"0.5"),
        *(b"1e-999999999999999999999", b"123456789012345678901234567890"),
    ],
)
def test_a_number_beyond_all_columns_costs_itself_alone(text: bytes) -> None:
    body = _text(MESSAGE)[:-1] + b',"errorCode":' + text + b',"unknown":[' + text + b"]}"
    found = parse_event(body)
    assert found.unreadable == ("errorCode",)
    assert _read(found, body).items() >= MESSAGE.items()


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
        ("2026-11-01T10:00:00z", "2026-11-01T10:00:00Z"),
        ("2026-11-01t10:00:00Z", "2026-11-01T10:00:00Z"),
        ("2026-11-01 10:00:00Z", "2026-11-01 10:00:00Z"),
        ("2026-11-01T10:00Z", "2026-11-01T10:00:00Z"),
        ("2026-11-01T10:00:00,5Z", "2026-11-01T10:00:00.5Z"),
        ("2026-11-01T10:00:00.123456789123Z", "2026-11-01T10:00:00.123456789Z"),
        ("2026-11-01T10:00:00 UTC", "2026-11-01T10:00:00Z"),
        ("2026-11-01T13:00:00+03", "2026-11-01T13:00:00+03:00"),
        ("2026-11-01T13:00:00+0330", "2026-11-01T13:00:00+03:30"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("2024-02-29T10:00:00-00:00", "2024-02-29T10:00:00-00:00"),
        ("2026-11-01T10:00:00", "2026-11-01T10:00:00"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
    ],
)
def test_every_form_of_an_instant_is_read(
    sent: str, read: str, separators: tuple[str, str]
) -> None:
    body = _text(MESSAGE | {"creationTime": sent}, separators)
    assert _read(parse_event(body), body)["creationTime"].replace(" ", "T") == read.replace(
        " ", "T"
    )


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    "sent",
    [
        *("", " ", "yesterday", "2026-11-01", "10:00:00Z", "2026-02-30T10:00:00Z"),
        *("2026-11-31T10:00:00Z", "2025-02-29T10:00:00Z", "2026-13-01T10:00:00Z"),
        *("2026-11-01T24:00:00Z", "2026-11-01T10:61:00Z", "2026-11-01T10:00:61Z"),
        *("2026-11-01T10:00:00+25:00", "2026-11-01T10:00:00+03:75", "20261101T100000Z"),
        *("9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00", "294247-01-10T04:00:54Z"),
        *("2026-11-01T10:00:00Z\n2", "٢٠٢٦-١١-٠١T10:00:00Z", 1_793_527_200_000, 5.5, True, []),
    ],
)
@pytest.mark.parametrize("event", [MESSAGE, CALL, IVR], ids=["message", "call", "ivr"])
def test_a_creation_time_that_is_no_instant_is_refused(
    event: dict[str, Any], sent: object, separators: tuple[str, str]
) -> None:
    assert _reason(_text(event | {"creationTime": sent}, separators)) == "bad_value:creationTime"


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize("key", ["conversationEventId", "messageId", "contactId", "senderUserId"])
def test_the_empty_guid_is_no_id(key: str, separators: tuple[str, str]) -> None:
    body = _text(MESSAGE | {key: NO_ID}, separators)
    found = parse_event(body)
    assert _read(found, body) == MESSAGE | {key: None}
    assert found.unreadable == ()


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    ("body", "conversation"),
    [
        (MESSAGE | {"conversationId": NO_ID}, None),
        ({"eventType": "x", "id": TALK, "conversationId": NO_ID}, TALK),
        ({"data": {"conversationId": NO_ID, "contactId": "c"}, "eventType": "x"}, None),
    ],
)
def test_the_empty_guid_is_no_conversation(
    body: dict[str, Any], conversation: str | None, separators: tuple[str, str]
) -> None:
    assert parse_event(_text(body, separators)).conversation_id == conversation


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    "body",
    [
        MESSAGE | {"channelId": NO_ID},
        MESSAGE | {"channelId": NO_ID.replace("-", "")} | {"unknown": [1, {}]},
        CALL | {"callId": NO_ID},
        IVR | {"id": "{" + NO_ID + "}"},
        {"eventType": "x", "id": NO_ID},
    ],
)
def test_an_event_that_only_the_empty_guid_names_is_refused(
    body: dict[str, Any], separators: tuple[str, str]
) -> None:
    if "unknown" in body or "{" in str(body.get("id", "")):
        separators = (", ", ": ")  # its other forms are looked for where something else is odd
    assert _reason(_text(body, separators)) == "missing_ids"


def test_text_that_looks_like_json_is_text() -> None:
    for text in ("{music} hello", "{", "[1, 2", '{"text": 1}', "null"):
        body = _text(CALL | {"transcription": text, "summary": text, "userName": text})
        assert _read(parse_event(body), body)["transcription"] == text


def _nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return _text(MESSAGE)[:-1] + b', "x":' + opening * depth + b"1" + closing * depth + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_read_or_refused_as_too_deep(opening: bytes, closing: bytes) -> None:
    for depth in (3, 30, 100):
        assert parse_event(_nested(depth, opening, closing)).kind == "message"
    for depth in (1_000, 10_000, 100_000):
        assert _reason(_nested(depth, opening, closing)) == "too_deep"
