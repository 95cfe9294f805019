"""Turns and answers: who answers what, and how long it took. Nine to six, Sunday to Thursday."""

from __future__ import annotations

import pytest

from tests.warehouse.marts.world import World, local, tells

HOUR, DAY = 3600, 86400


def turns(reported: World, conversation: str) -> list[dict]:
    return reported.rows(
        f"FROM marts.response_times WHERE conversation_id = '{conversation}' ORDER BY turn_number"
    )


def session(reported: World, conversation: str, number: int = 1) -> dict:
    return reported.one(
        f"FROM marts.conversation_sessions WHERE session_id = '{conversation}:{number}'"
    )


@tells(
    "three in a row",
    "customer 03-01 09:00",
    "customer 03-01 09:05",
    "customer 03-01 09:20",
    "agent 03-01 09:30",
)
def test_messages_in_a_row_are_one_turn_measured_from_the_first(reported: World) -> None:
    (turn,) = turns(reported, "three in a row")
    assert (turn["customer_messages"], turn["response_seconds"]) == (3, 30 * 60)


@tells(
    "to and fro",
    "customer 03-01 09:00",
    "agent 03-01 09:10",
    "agent 03-01 09:50",
    "customer 03-01 10:00",
    "agent 03-01 10:30",
)
def test_each_turn_has_the_next_answer_and_no_other(reported: World) -> None:
    # 600 s and 1,800 s; what the agent added at 9:50 answers nothing. The median is between.
    assert [turn["response_seconds"] for turn in turns(reported, "to and fro")] == [600, 1800]
    assert session(reported, "to and fro")["median_response_seconds"] == 1200


@tells(
    "failed reply",
    "customer 03-01 09:00",
    ("agent 03-01 09:10", {"status": "failed"}),
    "customer 03-01 09:15",
    "agent 03-01 09:30",
)
def test_a_failed_reply_neither_answers_nor_splits_a_turn(reported: World) -> None:
    (turn,) = turns(reported, "failed reply")
    assert (turn["customer_messages"], turn["response_seconds"]) == (2, 1800)


@tells(
    "ai first",
    "customer 03-01 09:00",
    "ai 03-01 09:00:05",
    "customer 03-01 09:02",
    "agent 03-01 09:12",
)
def test_an_ai_answers_first_and_a_person_later(reported: World) -> None:
    found = session(reported, "ai first")
    assert (found["first_responder"], found["first_responder_user_id"]) == ("ai", "robo")
    assert found["first_response_seconds"] == 5
    assert found["first_human_response_seconds"] == 12 * 60
    assert [turn["responder_origin"] for turn in turns(reported, "ai first")] == ["ai", "agent"]


@tells("ai then agent", "customer 03-01 09:00", "ai 03-01 09:01", "agent 03-01 09:07")
def test_a_person_who_follows_an_ai_in_the_same_turn_is_the_first_human_response(
    reported: World,
) -> None:
    assert session(reported, "ai then agent")["first_human_response_seconds"] == 7 * 60


@tells("template answered", "template 03-01 09:00", "customer 03-01 12:00")
def test_a_template_that_the_customer_answers_leaves_a_turn_unanswered(reported: World) -> None:
    found = session(reported, "template answered")
    assert (found["customer_turns"], found["answered_turns"], found["is_unanswered"]) == (
        1,
        0,
        True,
    )


@tells(
    "machines",
    "customer 03-01 09:00",
    "automatic 03-01 09:00:01",
    "template 03-01 09:05",
    "agent 03-01 09:20",
)
def test_automatic_replies_and_templates_answer_nothing(reported: World) -> None:
    (turn,) = turns(reported, "machines")
    assert turn["response_seconds"] == 20 * 60


@tells("call answers not", "customer 03-01 09:00", "call 03-01 09:05")
def test_a_call_answers_no_turn(reported: World) -> None:
    assert session(reported, "call answers not")["is_unanswered"]


@tells(
    "same second",
    ("customer 03-01 09:00", {"event_id": "e1"}),
    ("agent 03-01 09:00", {"event_id": "e2"}),
)
def test_in_the_same_second_the_event_id_decides(reported: World) -> None:
    (turn,) = turns(reported, "same second")
    assert turn["response_seconds"] == 0


@tells(
    "same second, other order",
    ("customer 03-01 09:00", {"event_id": "e2"}),
    ("agent 03-01 09:00", {"event_id": "e1"}),
)
def test_in_the_same_second_an_answer_with_the_smaller_id_came_before(reported: World) -> None:
    (turn,) = turns(reported, "same second, other order")
    assert turn["response_seconds"] is None


@tells(
    "no event id",
    ("customer 03-01 09:00", {"event_id": None, "message_key": "wamid:b"}),
    ("agent 03-01 09:00", {"event_id": None, "message_key": "wamid:c"}),
)
def test_without_an_event_id_the_key_decides(reported: World) -> None:
    assert turns(reported, "no event id")[0]["response_seconds"] == 0


@tells("over the weekend", "customer 03-05 17:00", "agent 03-08 09:30")
def test_late_by_a_weekend(reported: World) -> None:
    # Thursday 17:00 to Sunday 9:30 are 64.5 hours, so another session: a late answer.
    # Business: Thursday 17-18 and Sunday 9-9:30.
    (turn,) = turns(reported, "over the weekend")
    assert turn["response_seconds"] is None
    assert turn["late_responded_at"] == local("03-08 09:30")
    assert turn["late_response_seconds"] == turn["response_seconds_any"] == 64.5 * HOUR
    assert turn["late_response_business_seconds"] == 1.5 * HOUR
    assert session(reported, "over the weekend")["is_unanswered"]
    assert not session(reported, "over the weekend", 2)["is_unanswered"]


@tells("later still", "customer 03-01 09:00", "template 03-03 09:00", "agent 03-09 09:00")
def test_a_late_answer_may_come_in_any_later_session(reported: World) -> None:
    (turn,) = turns(reported, "later still")
    assert turn["late_response_seconds"] == 8 * DAY
    assert turn["session_id"] == "later still:1"


@tells("asked again", "customer 03-01 09:00", "customer 03-04 09:00", "agent 03-04 09:15")
def test_after_the_next_turn_it_is_too_late_for_the_first(reported: World) -> None:
    first, second = turns(reported, "asked again")
    assert first["response_seconds_any"] is None
    assert second["response_seconds"] == 900
    assert [turn["turn_number"] for turn in (first, second)] == [1, 2]


@tells("within a weekend", "customer 03-06 10:00", "agent 03-07 09:00")
def test_an_answer_on_the_weekend_took_no_business_time(reported: World) -> None:
    # Friday to Saturday, 23 hours: the same session.
    (turn,) = turns(reported, "within a weekend")
    assert (turn["response_seconds"], turn["response_business_seconds"]) == (23 * HOUR, 0)


@tells("into the weekend", "customer 03-05 17:30", "agent 03-06 17:00")
def test_the_weekend_stops_the_business_clock_within_a_session(reported: World) -> None:
    # Thursday 17:30 to 18:00; Friday does not count.
    (turn,) = turns(reported, "into the weekend")
    assert turn["response_business_seconds"] == HOUR / 2


@tells("holidays late", "customer 03-10 17:30", "agent 03-12 14:30")
def test_a_late_answer_after_a_day_and_a_morning_off(reported: World) -> None:
    # 45 hours, so late. Tuesday 17:30-18, nothing on Wednesday, Thursday 13-14:30.
    (turn,) = turns(reported, "holidays late")
    assert turn["response_seconds"] is None
    assert turn["late_response_business_seconds"] == 2 * HOUR


@tells("in the night", "customer 03-01 20:00", "agent 03-02 08:00")
def test_an_answer_before_opening_took_no_business_time(reported: World) -> None:
    (turn,) = turns(reported, "in the night")
    assert (turn["response_seconds"], turn["response_business_seconds"]) == (12 * HOUR, 0)


@tells("overnight", "customer 03-01 17:59:30", "agent 03-02 09:00:30")
def test_seconds_are_exact_over_closing_time(reported: World) -> None:
    # 30 s until six, 30 s from nine.
    assert turns(reported, "overnight")[0]["response_business_seconds"] == 60


@tells("holiday", "customer 03-10 17:00", "agent 03-11 16:00")
def test_a_whole_holiday_does_not_count(reported: World) -> None:
    # Tuesday 17-18; Wednesday 11 March is a holiday.
    assert turns(reported, "holiday")[0]["response_business_seconds"] == HOUR


@tells("half holiday", "customer 03-11 20:00", "agent 03-12 14:00")
def test_a_morning_off_does_not_count(reported: World) -> None:
    # Thursday 12 March: 9-13 is off, 13-14 counts.
    assert turns(reported, "half holiday")[0]["response_business_seconds"] == HOUR


@tells("fractions", "customer 03-01 09:00:00.250", "agent 03-01 09:00:01.750")
def test_fractions_of_a_second_are_kept(reported: World) -> None:
    (turn,) = turns(reported, "fractions")
    assert turn["response_seconds"] == turn["response_business_seconds"] == 1.5


@tells(
    "auto reply", "agent 03-01 09:00", ("customer 03-01 09:00:10", {"is_probable_auto_reply": True})
)
def test_a_probable_auto_reply_of_the_customer_is_a_turn_like_any_other(reported: World) -> None:
    assert len(turns(reported, "auto reply")) == 1


@tells(
    "unknown sender",
    "customer 03-01 09:00",
    (
        "agent 03-01 09:10",
        {"sender_user_id": None, "owner_user_id": "badr", "origin_confidence": "assumed"},
    ),
)
def test_the_owner_of_a_conversation_is_no_proof_of_a_sender(reported: World) -> None:
    (turn,) = turns(reported, "unknown sender")
    assert (turn["responder_origin"], turn["responder_user_id"]) == ("agent", None)


@tells(
    "waits",
    "customer 03-01 09:00",
    "agent 03-01 10:00",
    "customer 03-01 11:00",
    "customer 03-09 12:00",
)
def test_waiting_since_the_first_message_after_the_last_answer(reported: World) -> None:
    now = reported.one("FROM marts.conversation_now WHERE conversation_id = 'waits'")
    assert now["waiting_since"] == local("03-01 11:00")  # across sessions
    assert now["service_window_closes_at"] == local("03-10 12:00")
    assert now["is_window_open"] is (local("03-10 12:00") > reported.one("SELECT now() AS t")["t"])


@tells("closed", "customer 03-01 09:00", status="closed")
def test_nobody_waits_in_a_closed_conversation(reported: World) -> None:
    now = reported.one("FROM marts.conversation_now WHERE conversation_id = 'closed'")
    assert now["waiting_since"] is None


@tells("failed end", "customer 03-01 09:00", ("agent 03-01 09:10", {"status": "failed"}))
def test_after_a_failed_answer_the_customer_still_waits(reported: World) -> None:
    now = reported.one("FROM marts.conversation_now WHERE conversation_id = 'failed end'")
    assert now["waiting_since"] == local("03-01 09:00")


@tells(
    "deleted words",
    "customer 03-01 09:00",
    "agent 03-01 09:10",
    ("customer 03-01 10:00", {"deleted_at": local("03-02 00:00")}),
)
def test_a_deleted_message_makes_nobody_wait(reported: World) -> None:
    now = reported.one("FROM marts.conversation_now WHERE conversation_id = 'deleted words'")
    assert now["waiting_since"] is None
    assert len(turns(reported, "deleted words")) == 2  # facts keep it


@tells("deleted conversation", "customer 03-01 09:00", deleted_at=local("03-02 00:00"))
def test_a_deleted_conversation_has_no_now(reported: World) -> None:
    assert (
        reported.rows("FROM marts.conversation_now WHERE conversation_id = 'deleted conversation'")
        == []
    )


@tells(
    "medians",
    "customer 03-02 09:00",
    "agent 03-02 09:10",
    "customer 03-02 10:00",
    "agent 03-02 10:20",
    "customer 03-02 11:00",
    "agent 03-04 09:00",
)
def test_leading_with_late_answers_tells_another_story(reported: World) -> None:
    # In the session: 600 and 1,200 s. The third turn waits from Monday 11:00 to Wednesday 9:00,
    # 46 hours: late. Of 600, 1,200 and 165,600 the median is 1,200.
    found = session(reported, "medians")
    assert found["median_response_seconds"] == 900
    assert found["median_response_seconds_any"] == 1200
    assert (found["customer_turns"], found["answered_turns"]) == (3, 2)
    late = reported.one(
        "FROM marts.agent_daily WHERE user_id = 'amal' AND date = DATE '2026-03-04'"
    )
    assert late["turns_answered_any"] >= 1


@pytest.mark.parametrize("column", ["response_seconds_any", "response_business_seconds_any"])
def test_every_turn_answered_has_seconds_that_are_not_negative(
    reported: World, column: str
) -> None:
    found = reported.one(f"SELECT min({column}) AS least FROM marts.response_times")
    assert found["least"] >= 0
