"""From the bytes of a body to its event: values of other types, instants, ids."""

from __future__ import annotations

from typing import Any

import pytest

from hatif.webhooks.parse import parse_event
from tests.hatif.webhooks.bodies import (
    CALL,
    IVR,
    MESSAGE,
    NO_ID,
    SPACING,
    TALK,
    payload_of,
    reason_of,
    text_of,
)

FORMS_OF_NO_ID = [NO_ID, NO_ID.replace("-", ""), "{" + NO_ID + "}", f" ({NO_ID}) ", f"\t{NO_ID}"]
READ_SURELY = [
    *[("isBillable", sent, True) for sent in ("true", "True", " TRUE ", 1, 1.0, "1")],
    *[("isBillable", sent, False) for sent in ("false", 0, "0", 0.0)],
    *[("errorCode", sent, 131047) for sent in (131047.0, 131047)],
    *[("errorCode", sent, sent) for sent in ("131047", "no number", "")],
    *[("body", 5, "5"), ("body", 2.5, "2.5"), ("errorReason", 404, "404")],
    *[("latitude", "24.5", 24.5), ("longitude", " 46 ", 46), ("latitude", "", None)],
    *[("latitude", "٢٤.٥", 24.5), ("longitude", "۴۶", 46), ("isBillable", "١", True)],
    *[("status", 2.0, 2), ("senderUserId", 17, "17"), ("mediaUrl", None, None)],
]


@pytest.mark.parametrize("separators", SPACING)
def test_a_value_of_another_type_that_can_be_read_surely_is_read(
    separators: tuple[str, str],
) -> None:
    for key, sent, read in READ_SURELY:
        body = text_of(MESSAGE | {key: sent}, separators)
        found = parse_event(body)
        value = payload_of(found, body)[key]
        assert (value, type(value) is bool) == (read, type(read) is bool), (key, sent)
        assert found.unreadable == ()


UNREADABLE = {
    "message": (
        *("body", "mediaUrl", "mimeType", "senderUserId", "errorReason", "errorCode"),
        *("isBillable", "latitude", "longitude", "workspaceId", "contactId"),
        *("status", "direction", "messageType"),
    ),
    "call": (
        *("userName", "recordingUrl", "summary", "sentiment", "csatRating", "csatMethod"),
        *("isAiCall", "pickupTime", "hangupTime", "csatCollectedAt", "userId", "callLength"),
        *("status", "type", "contactId"),
    ),
    "ivr": (
        *("externalId", "callId", "result", "pressedDigit", "answeredAt", "hangupCause"),
        *("status", "destinationNumber"),
    ),
}
_READABLE = [
    *[("isBillable", True), ("isAiCall", True)],
    ("destinationNumber", {"un": "expected"}),  # a phone number can be an object
]


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_minor_value_that_cannot_be_read_is_null_and_named(kind: str) -> None:
    event = {"message": MESSAGE, "call": CALL, "ivr": IVR}[kind]
    for key in UNREADABLE[kind]:
        for value in (["a"], [], True, {"un": "expected"}):
            if (key, value) in _READABLE:
                continue
            body = text_of(event | {key: value})
            found = parse_event(body)
            assert found.unreadable == (key,)
            assert payload_of(found, body) == event | {key: None}


@pytest.mark.parametrize("separators", SPACING)
def test_a_duration_is_read_in_every_form_and_what_is_none_is_named(
    separators: tuple[str, str],
) -> None:
    for sent, read in {
        **{
            text: text
            for text in ("00:01:00", "1.02:03:04.5", "02:30", "150", "PT2M30S", "1:02:03")
        },
        " 00:01:00 ": "00:01:00",
        "٠٠:٠١:٠٠": "00:01:00",
        "": None,
    }.items():
        body = text_of(CALL | {"callLength": sent}, separators)
        found = parse_event(body)
        assert (payload_of(found, body)["callLength"], found.unreadable) == (read, ())
    for sent in ("two minutes", "P", "PT", "1:2", "1h", "00:00:00:00", "12:34:5x"):
        body = text_of(CALL | {"callLength": sent}, separators)
        found = parse_event(body)
        assert (payload_of(found, body)["callLength"], found.unreadable) == (None, ("callLength",))


@pytest.mark.parametrize(
    "text",
    [
        *(b"9" * 400, b"9" * 5_000, b"1e400", b"-1e999999999999999999999", b"0.5"),
        *(b"1e-999999999999999999999", b"123456789012345678901234567890"),
    ],
)
def test_a_number_beyond_all_columns_costs_itself_alone(text: bytes) -> None:
    body = text_of(MESSAGE)[:-1] + b',"errorCode":' + text + b',"unknown":[' + text + b"]}"
    found = parse_event(body)
    assert found.unreadable == ("errorCode",)
    assert payload_of(found, body).items() >= MESSAGE.items()


INSTANTS = {
    "2026-11-01T10:00:00Z": "2026-11-01T10:00:00Z",
    "2026-11-01T10:00:00z": "2026-11-01T10:00:00Z",
    "2026-11-01t10:00:00Z": "2026-11-01T10:00:00Z",
    "2026-11-01 10:00:00Z": "2026-11-01T10:00:00Z",
    "2026-11-01T10:00Z": "2026-11-01T10:00:00Z",
    "2026-11-01T10:00:00,5Z": "2026-11-01T10:00:00.5Z",
    "2026-11-01T10:00:00.123456789123Z": "2026-11-01T10:00:00.123456789Z",
    "2026-11-01T10:00:00 UTC": "2026-11-01T10:00:00Z",
    "2026-11-01T13:00:00+03": "2026-11-01T13:00:00+03:00",
    "2026-11-01T13:00:00+0330": "2026-11-01T13:00:00+03:30",
    "2026-06-30T23:59:60Z": "2026-07-01T00:00:00Z",
    "2024-02-29T10:00:00-00:00": "2024-02-29T10:00:00-00:00",
    "2026-11-01T10:00:00": "2026-11-01T10:00:00",
    "1969-12-31T23:59:59Z": "1969-12-31T23:59:59Z",
}
NO_INSTANTS = [
    *("", " ", "yesterday", "2026-11-01", "10:00:00Z", "2026-02-30T10:00:00Z"),
    *("2026-11-31T10:00:00Z", "2025-02-29T10:00:00Z", "2026-13-01T10:00:00Z"),
    *("2026-11-01T24:00:00Z", "2026-11-01T10:61:00Z", "2026-11-01T10:00:61Z"),
    *("2026-11-01T10:00:00+25:00", "2026-11-01T10:00:00+03:75", "20261101T100000Z"),
    *("9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00", "294247-01-10T04:00:54Z"),
    *("2026-11-01T10:00:00Z\n2", "٢٠٢٦-١١-٠١T10:00:00Z", "2199-12-31T23:59:60Z"),
    *(1_793_527_200_000, 5.5, True, []),
]


@pytest.mark.parametrize("separators", SPACING)
def test_every_form_of_an_instant_is_read(separators: tuple[str, str]) -> None:
    for sent, read in INSTANTS.items():
        body = text_of(MESSAGE | {"creationTime": sent}, separators)
        found = payload_of(parse_event(body), body)["creationTime"]
        assert found.replace(" ", "T") == read


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize("event", [MESSAGE, CALL, IVR], ids=["message", "call", "ivr"])
def test_a_creation_time_that_is_no_instant_is_rejected(
    event: dict[str, Any], separators: tuple[str, str]
) -> None:
    for sent in NO_INSTANTS:
        body = text_of(event | {"creationTime": sent}, separators)
        assert reason_of(body) == "bad_value:creationTime", sent


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize("key", ["messageId", "contactId", "senderUserId", "workspaceId"])
def test_the_empty_guid_is_no_id_in_any_form(key: str, separators: tuple[str, str]) -> None:
    for form in FORMS_OF_NO_ID:
        body = text_of(MESSAGE | {key: form}, separators)
        found = parse_event(body)
        assert payload_of(found, body) == MESSAGE | {key: None}
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
    assert parse_event(text_of(body, separators)).conversation_id == conversation


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    "body",
    [
        MESSAGE | {"channelId": NO_ID},
        *[MESSAGE | {"channelId": form} for form in FORMS_OF_NO_ID],
        *[CALL | {"callId": form} for form in FORMS_OF_NO_ID],
        *[IVR | {"id": form} for form in FORMS_OF_NO_ID],
        {"eventType": "x", "id": NO_ID},
    ],
)
def test_an_event_that_only_the_empty_guid_names_is_refused(
    body: dict[str, Any], separators: tuple[str, str]
) -> None:
    assert reason_of(text_of(body, separators)) == "missing_ids"


def test_text_that_looks_like_json_is_text() -> None:
    for text in ("{music} hello", "{", "[1, 2", '{"text": 1}', "null"):
        body = text_of(CALL | {"transcription": text, "summary": text, "userName": text})
        assert payload_of(parse_event(body), body)["transcription"] == text


def _nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return text_of(MESSAGE)[:-1] + b', "x":' + opening * depth + b"1" + closing * depth + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_read_or_refused_as_too_deep(opening: bytes, closing: bytes) -> None:
    for depth in (3, 30, 100):
        assert parse_event(_nested(depth, opening, closing)).kind == "message"
    for depth in (1_000, 10_000, 100_000):
        assert reason_of(_nested(depth, opening, closing)) == "too_deep"


@pytest.mark.parametrize("separators", SPACING)
@pytest.mark.parametrize(
    "more",
    [
        '"status": "Sent"',
        '"STATUS": "Sent"',
        '"unknown": 1, "unknown": 2',
        '"unknown": {"a": 1, "a": 2}',
        '"unknown": [{"a": "x", "A": "y"}]',
    ],
)
def test_a_key_twice_costs_nothing_where_all_readers_see_the_same_event(
    more: str, separators: tuple[str, str]
) -> None:
    sent = more.replace(": ", separators[1]).replace(", ", separators[0])
    body = text_of(MESSAGE, separators)[:-1] + separators[0].encode() + sent.encode() + b"}"
    found = parse_event(body)
    assert payload_of(found, body).items() >= MESSAGE.items()


@pytest.mark.parametrize(
    "more",
    ['"status":"Read"', '"Status":"Read"', '"isBillable":false', '"x":1,"x":{}', '"x":[1],"x":[]'],
)
def test_a_key_twice_with_two_meanings_is_refused(more: str) -> None:
    assert reason_of(text_of(MESSAGE)[:-1] + b"," + more.encode() + b"}") == "duplicate_keys"
