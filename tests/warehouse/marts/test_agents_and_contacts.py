"""Who did what on a day, and what there is to say of a contact."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.warehouse.marts.world import World, local, tells


def agent(reported: World, user: str, day: str) -> dict:
    return reported.one(
        f"FROM marts.agent_daily WHERE user_id = '{user}' AND date = DATE '2026-{day}'"
    )


def as_badr(**more: object) -> dict:
    return {"sender_user_id": "badr", **more}


@tells(
    "badr's day",
    "customer 05-03 09:00",
    ("agent 05-03 09:10", as_badr()),
    ("agent 05-03 09:11", as_badr(status="failed")),
    "customer 05-03 10:00",
    ("agent 05-03 10:30", as_badr()),
)
@tells("badr's other", ("call 05-03 12:00", {"user_id": "badr", "duration_seconds": 90.0}))
@tells(
    "badr's missed",
    ("call 05-03 12:00", {"user_id": "badr", "is_completed": False, "status": "missed"}),
)
def test_an_agents_day(reported: World) -> None:
    found = agent(reported, "badr", "05-03")
    assert (found["user_name"], found["is_ai_agent"]) == ("Badr", False)
    assert found["messages_sent"] == 2  # the failed one is none
    assert found["conversations_handled"] == 2  # a missed call handles nothing
    assert (found["turns_answered"], found["median_response_seconds"]) == (2, 1200)
    assert found["p90_response_seconds"] == 1680  # 600 + 0.9 * 1,200
    assert (found["calls_answered"], found["call_seconds"]) == (1, 90)


@tells("late by badr", "customer 05-04 09:00", ("agent 05-06 09:00", as_badr()))
def test_a_late_answer_counts_only_in_the_twin(reported: World) -> None:
    found = agent(reported, "badr", "05-06")
    assert (found["turns_answered"], found["median_response_seconds"]) == (0, None)
    assert (found["turns_answered_any"], found["median_response_seconds_any"]) == (1, 2 * 86400)


@tells("over midnight", "customer 05-10 23:50", ("agent 05-11 00:20", as_badr()))
def test_a_turn_is_the_agents_on_the_day_of_the_answer(reported: World) -> None:
    assert agent(reported, "badr", "05-11")["turns_answered"] == 1


@tells(
    "robo's day",
    "customer 05-12 09:00",
    "ai 05-12 09:00:03",
    ("call 05-12 10:00", {"user_id": None, "ai_agent_id": "robo", "is_ai_call": True}),
)
def test_an_ai_agent_has_a_day_like_anybody(reported: World) -> None:
    found = agent(reported, "robo", "05-12")
    assert (found["is_ai_agent"], found["messages_sent"], found["calls_answered"]) == (True, 1, 1)


def test_a_user_renamed_is_renamed_on_every_day(world: World) -> None:
    world.put("users", {"user_id": "amal", "name": "Amal", "is_ai_agent": False})
    world.say("c", "agent 03-01 09:00", "agent 03-09 09:00")
    world.refresh()
    world.put("users", {"user_id": "amal", "name": "Amal K.", "is_ai_agent": False})
    world.refresh()
    names = {row["user_name"] for row in world.rows("FROM marts.agent_daily")}
    assert names == {"Amal K."}


@tells(
    "cora's all",
    "customer 03-01 09:00",
    "agent 03-01 09:10",
    "call 03-05 09:00",
    ("agent 04-02 09:00", {"is_charged": None}),
    ("customer 04-20 09:00", {"deleted_at": local("04-21 00:00")}),
)
def test_a_contact_in_sum(reported: World) -> None:
    found = reported.one("FROM marts.contact_summary WHERE contact_id = 'with cora''s all'")
    assert (found["inbound_messages"], found["outbound_messages"], found["calls"]) == (1, 2, 1)
    assert (found["conversations"], found["sessions"]) == (1, 4)
    assert (found["charged_messages"], found["unknown_messages"]) == (1, 1)
    assert json.loads(found["costs"]) == {"SAR": "0.020000"}
    assert json.loads(found["unknown_costs"]) == {"SAR": "0.030000"}
    assert found["first_seen_at"] == datetime(2025, 1, 1, tzinfo=UTC)
    assert found["last_activity_at"] == local("04-02 09:00")  # what was deleted is no activity


def test_a_deleted_contact_has_no_summary(world: World) -> None:
    world.put("contacts", {"contact_id": "cora"})
    world.refresh()
    assert len(world.rows("FROM marts.contact_summary")) == 1
    world.put("contacts", {"contact_id": "cora", "deleted_at": local("03-01 09:00")})
    world.refresh()
    assert world.rows("FROM marts.contact_summary") == []


def test_tags_and_properties_in_their_own_words(world: World) -> None:
    world.put("contacts", {"contact_id": "cora"})
    world.put("conversations", {"conversation_id": "c", "assignee_user_id": "amal"})
    world.put("users", {"user_id": "amal", "name": "Amal"})
    world.put("tags", {"tag_id": "t1", "name": "vip"}, {"tag_id": "t2", "name": "late "})
    world.put(
        "conversation_tags",
        {"conversation_id": "c", "tag_id": "t1"},
        {"conversation_id": "c", "tag_id": "t2"},
    )
    world.put(
        "contact_properties",
        {
            "contact_id": "cora",
            "property_id": "p",
            "property_name": "Tier",
            "property_type": "select",
            "select_value": "gold",
        },
    )
    world.refresh()
    now = world.one("FROM marts.conversation_now")
    assert (now["tags"], now["assignee"]) == (["late ", "vip"], "Amal")
    summary = world.one("FROM marts.contact_summary")
    assert json.loads(summary["select_properties"]) == {"Tier": "gold"}
