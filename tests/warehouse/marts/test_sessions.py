"""Sessions: where they begin and end, who opened them, what they hold; a silent day ends one."""

from __future__ import annotations

from tests.warehouse.marts.world import World, local, tells


def sessions(reported: World, conversation: str) -> list[dict]:
    return reported.rows(
        f"FROM marts.conversation_sessions WHERE conversation_id = '{conversation}' "
        "ORDER BY session_number"
    )


def only(reported: World, conversation: str) -> dict:
    (session,) = sessions(reported, conversation)
    return session


@tells("exactly a day", "customer 03-01 09:00", "customer 03-02 09:00")
def test_exactly_24_hours_of_silence_do_not_end_a_session(reported: World) -> None:
    assert only(reported, "exactly a day")["inbound_messages"] == 2


@tells("a second more", "customer 03-01 09:00", "customer 03-02 09:00:01")
def test_a_silence_of_a_day_and_a_second_ends_a_session(reported: World) -> None:
    first, second = sessions(reported, "a second more")
    assert first["session_id"] == "a second more:1"
    assert second["session_id"] == "a second more:2"
    assert first["ended_at"] == local("03-01 09:00")
    assert second["started_at"] == local("03-02 09:00:01")


@tells("kept going", "customer 03-01 09:00", "agent 03-02 08:00", "customer 03-03 07:00")
def test_silence_is_between_neighbours_not_from_the_start(reported: World) -> None:
    # 46 hours in all, never more than 23 between two.
    assert only(reported, "kept going")["ended_at"] == local("03-03 07:00")


@tells("midnight in Riyadh", "customer 03-01 23:59", "agent 03-02 00:01")
def test_a_session_over_midnight_in_riyadh_is_of_the_day_it_started(reported: World) -> None:
    # 23:59 in Riyadh is 20:59 in UTC; both days are local ones.
    session = only(reported, "midnight in Riyadh")
    assert str(session["started_on"]) == "2026-03-01"
    days = reported.rows(
        "SELECT date::VARCHAR AS date, sessions_started, inbound_messages, outbound_messages "
        "FROM marts.channel_daily WHERE channel_id = 'of midnight in Riyadh' ORDER BY date"
    )
    assert [tuple(day.values()) for day in days] == [
        ("2026-03-01", 1, 1, 0),
        ("2026-03-02", 0, 0, 1),
    ]


@tells("utc evening", "customer 03-01 02:30")
def test_half_past_two_in_riyadh_is_that_day_though_utc_has_the_one_before(reported: World) -> None:
    assert str(only(reported, "utc evening")["started_on"]) == "2026-03-01"


@tells("call between", "customer 03-01 09:00", "call 03-02 05:00", "customer 03-03 01:00")
def test_a_call_between_messages_keeps_the_session_going(reported: World) -> None:
    # 20 hours before the call, 20 after it: without it there were 40.
    session = only(reported, "call between")
    assert (session["inbound_messages"], session["calls"], session["answered_calls"]) == (2, 1, 1)


@tells("only a call", ("call 03-01 09:00", {"is_completed": False, "status": "missed"}))
def test_a_missed_call_alone_is_a_session_without_a_turn(reported: World) -> None:
    session = only(reported, "only a call")
    assert (session["calls"], session["answered_calls"], session["customer_turns"]) == (1, 0, 0)
    assert session["opened_by"] == "inbound"
    assert not session["is_unanswered"]


@tells(
    "failed last",
    "customer 03-01 09:00",
    ("agent 03-02 08:00", {"status": "failed"}),
    "customer 03-03 07:00",
)
def test_a_failed_message_keeps_a_session_going_and_counts(reported: World) -> None:
    session = only(reported, "failed last")
    assert (session["outbound_messages"], session["charged_messages"]) == (1, 0)
    assert (session["customer_turns"], session["answered_turns"]) == (1, 0)


@tells("we began", "template 03-01 09:00", "customer 03-01 09:30", "agent 03-01 09:40")
def test_who_wrote_first_opened_it(reported: World) -> None:
    session = only(reported, "we began")
    assert session["opened_by"] == "outbound"
    assert session["first_inbound_at"] == local("03-01 09:30")
    assert session["first_response_seconds"] == 600  # from the customer's message, not the start


@tells(
    "at once",
    ("call 03-01 09:00", {"event_id": "e2", "direction": "outbound"}),
    ("customer 03-01 09:00", {"event_id": "e1"}),
)
def test_of_a_call_and_a_message_in_the_same_second_the_event_id_tells_the_first(
    reported: World,
) -> None:
    session = only(reported, "at once")
    assert (session["opened_by"], session["customer_turns"], session["calls"]) == ("inbound", 1, 1)


@tells("gone since", ("customer 03-01 09:00", {"deleted_at": local("03-20 00:00")}))
def test_sessions_keep_what_the_service_has_deleted(reported: World) -> None:
    assert only(reported, "gone since")["inbound_messages"] == 1


@tells(
    "charged twice",
    "customer 03-01 09:00",
    "agent 03-01 09:01",
    "template 03-01 09:02",
    ("agent 03-01 09:03", {"is_charged": None}),
)
def test_charged_messages_are_those_that_surely_cost_something(reported: World) -> None:
    assert only(reported, "charged twice")["charged_messages"] == 2


def test_assignments_belong_to_the_latest_session_begun(world: World) -> None:
    world.say("c", "customer 03-01 09:00", "customer 03-05 09:00")
    world.put(
        "assignments",
        {"event_id": "x1", "conversation_id": "c", "assigned_at": local("02-28 09:00")},
        {"event_id": "x2", "conversation_id": "c", "assigned_at": local("03-03 09:00")},
        {"event_id": "x3", "conversation_id": "c", "assigned_at": local("03-05 09:00")},
    )
    world.refresh()
    # One before any session is nobody's; one in the silence is still the first session's.
    assert [session["assignments"] for session in sessions(world, "c")] == [1, 1]


def test_the_gap_is_a_setting_and_changing_it_computes_all_anew(world: World) -> None:
    world.say("c", "customer 03-01 09:00", "customer 03-01 10:30")
    world.refresh()
    assert len(sessions(world, "c")) == 1
    world.settings = world.settings.model_copy(update={"session_gap_hours": 1.0})
    world.refresh()
    assert len(sessions(world, "c")) == 2


def test_an_assignment_to_a_person_after_an_ai_answered_hands_over(world: World) -> None:
    world.say("c", "customer 03-01 09:00", "ai 03-01 09:01")
    assigned = [
        {"event_id": "1", "assigned_at": local("03-01 09:00"), "assigned_user_id": "amal"},
        {"event_id": "2", "assigned_at": local("03-01 09:02"), "assigned_ai_agent_id": "robo"},
        {"event_id": "3", "assigned_at": local("03-01 09:03"), "assigned_user_id": "amal"},
    ]
    world.put("assignments", *({"conversation_id": "c", **one} for one in assigned))
    world.refresh()
    session = world.one("FROM marts.conversation_sessions")
    assert session["handed_over_at"] == local("03-01 09:03")
    assert session["is_resolved_by_ai"] is False
