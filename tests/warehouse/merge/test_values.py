"""What a merged message or call says: the values of contract §4, a test each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb
import pytest

from tests.warehouse.merge.world import NOON, World, at, call, call_event, event, message, sent

NO_ID = "00000000-0000-0000-0000-000000000000"


def _put_user(world: World, user: str, *, is_ai: bool) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"DELETE FROM core.users WHERE user_id = '{user}'")
        connection.execute(
            f"INSERT INTO core.users BY NAME SELECT '{user}' AS user_id, {is_ai} AS is_ai_agent"
        )

    world.lake.write("put a user", work)


@pytest.mark.parametrize(
    ("flags", "is_billable", "is_charged"),
    [
        ([{}], None, None),
        ([{"isBillable": None}], None, None),
        ([{"isBillable": False}], False, False),
        ([{"isBillable": "true"}], True, True),
        ([{"isBillable": 1}], True, True),
        ([{"isBillable": "perhaps"}], None, None),
        ([{"isBillable": [True]}], None, None),
        ([{"isBillable": False}, {"isBillable": True, "status": "Read"}], True, True),
        ([{}, {"isBillable": False, "status": "Pending"}], None, None),
    ],
)
def test_only_a_stated_flag_says_whether_a_message_is_billable(
    world: World, flags: list[dict[str, Any]], is_billable: bool | None, is_charged: bool | None
) -> None:
    reported = []
    for flag in flags:
        one = message(messageId="W", **{"status": "Delivered", **flag})
        if "isBillable" not in flag:
            del one.body["isBillable"]
        reported.append(one)
    row = world.reported(*reported)
    assert (row["is_billable"], row["is_charged"]) == (is_billable, is_charged)


def test_a_bare_files_time_is_no_receipt(world: World) -> None:
    row = world.reported(message(5, messageId="W", status="Delivered", isBillable=True).bare)
    assert (row["status"], row["delivered_at"], row["is_charged"]) == ("delivered", None, True)


def test_a_stated_time_counts_whenever_the_bare_copy_of_the_body_comes(world: World) -> None:
    delivered = message(5, messageId="W", status="Delivered")
    read = message(7, messageId="W", status="Read")
    row = world.reported(read.bare, delivered)
    assert (row["delivered_at"], row["read_at"]) == (at(5), None)


def test_no_receipt_before_the_messages_own_time_counts(world: World) -> None:
    row = world.reported(
        message(-7_229, messageId="W", status="Delivered"),
        message(4, messageId="W", status="Delivered", mimeType="x"),
        message(-1, messageId="W", status="Read"),
        message(-1, messageId="W", status="Failed"),
    )
    assert (row["delivered_at"], row["read_at"], row["failed_at"]) == (at(4), None, None)


def test_a_message_known_from_webhooks_alone_was_sent_at_the_earliest_time_given(
    world: World,
) -> None:
    row = world.reported(
        message(1, messageId="W", creationTime=sent(at(0))),
        message(9, messageId="W", creationTime=sent(at(7_229)), status="Delivered"),
    )
    assert (row["sent_at"], row["delivered_at"]) == (NOON, at(9))


def test_the_empty_guid_joins_nothing(world: World) -> None:
    empty: dict[str, Any] = {"conversationEventId": NO_ID, "senderUserId": NO_ID}
    world.put(*(message(**empty, messageId=f"W{number}") for number in range(5)))
    world.put(*(message(**empty, messageId=NO_ID, body=str(number)) for number in range(3)))
    world.put(*(call(number, callId=NO_ID) for number in range(2)))
    world.list(*(call_event(f"e{n}", source_id=NO_ID, contact_id=f"k{n}") for n in range(3)))
    world.list(event("t", body="other", ai_agent_id=NO_ID, owner_user_id=NO_ID))
    world.merge()
    rows = world.rows("messages")
    assert len(rows) == 5 + 3 + 1
    assert {row["sender_user_id"] for row in rows} == {None}
    assert {row["origin"] for row in rows if row["in_timeline"]} == {"automatic"}
    assert [row["call_key"] for row in world.rows("calls")] == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        ({"messageId": "W2"}, ["wamid:W1", "wamid:W2"]),
        ({"messageId": "W1", "conversationId": "v2"}, ["wamid:W1"]),
    ],
)
def test_an_event_id_of_several_messages_or_conversations_is_no_id(
    world: World, other: dict[str, Any], keys: list[str]
) -> None:
    world.put(
        message(conversationEventId="e", messageId="W1"), message(conversationEventId="e", **other)
    )
    world.merge()
    rows = world.rows("messages")
    assert [(row["message_key"], row["event_id"]) for row in rows] == [(key, None) for key in keys]


def test_an_ai_agent_among_the_users_is_no_person(world: World) -> None:
    _put_user(world, "robo", is_ai=True)
    row = world.reported(message(messageId="W", senderUserId="robo"))
    assert (row["origin"], row["sender_user_id"]) == ("ai", "robo")
    _put_user(world, "robo", is_ai=False)
    world.merge()
    assert world.one()["origin"] == "agent"
    _put_user(world, "robo", is_ai=True)
    world.merge()
    assert world.one()["origin"] == "ai"


@pytest.mark.parametrize(
    ("code", "error_code", "reason"),
    [
        (131047, 131047, None),
        (131047.0, 131047, None),
        ("131047", 131047, None),
        ([131047], None, None),
        ({"code": 1}, None, None),
        ("blocked", None, "blocked"),
        (1.5, None, None),
        (10**30, None, None),
    ],
)
def test_an_error_code_is_a_whole_number_and_other_text_a_reason(
    world: World, code: object, error_code: int | None, reason: str | None
) -> None:
    row = world.reported(message(messageId="W", status="Failed", errorCode=code))
    assert (row["error_code"], row["error_reason"]) == (error_code, reason)


def test_a_reaction_is_a_message_type(world: World) -> None:
    assert (
        world.reported(message(messageId="W", messageType="Reaction"))["message_type"] == "reaction"
    )


@pytest.mark.parametrize("status", ["Odd", 99, None])
def test_a_call_of_a_status_never_met_is_neither_completed_nor_missed(
    world: World, status: object
) -> None:
    world.put(call(status=status))
    world.merge()
    row = world.one("calls")
    assert (row["is_completed"], row["is_answered"]) == (None, None)


@pytest.mark.parametrize(
    ("sent_text", "stored"),
    [
        ("{music} hello", "{music} hello"),
        ('{"text": 1', '{"text": 1'),
        ('{"text": "as text"}', '{"text": "as text"}'),
        ({"text": "hi"}, "hi"),
        ({"words": [{"start": 2, "text": "b"}, {"start": 1, "text": "a"}]}, "a b"),
        ({"words": "none"}, None),
    ],
)
def test_a_transcription_in_any_form_stops_nothing(
    world: World, sent_text: object, stored: str | None
) -> None:
    world.put(call(transcription=sent_text), message(messageId="W"))
    world.merge()
    assert world.one("calls")["transcription"] == stored
    assert world.one()["message_key"] == "wamid:W"


def test_merging_everything_again_leaves_the_same_rows(world: World) -> None:
    world.list(event("e1", body="hi"), call_event("ce", source_id="c1"))
    world.put(
        message(conversationEventId="e1", status="Read"),
        message(messageId="W", conversationId=None, creationTime=sent(at(60))),
        message(messageId="W", messageType="MessageEdited", body="better"),
        call(callId="C1", pickupTime=sent(NOON + timedelta(seconds=3))),
    )
    world.merge()
    before = {name: world.rows(name) for name in ("messages", "calls")}
    assert all(before.values())
    world.merge_all()
    assert {name: world.rows(name) for name in before} == before
