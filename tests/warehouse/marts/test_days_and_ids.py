"""Days at the ends of the calendar, messages of no conversation, reactions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.warehouse.marts.world import World, message
from warehouse.marts import refresh
from warehouse.marts.tie_outs import tie_outs, wrong


def _failed(world: World) -> set[str]:
    with world.lake.reading() as connection:
        return {one.name for one in tie_outs() if wrong(connection, one)}


def test_days_before_1970_are_right_and_no_mart_holds_one_that_python_cannot_show(
    world: World,
) -> None:
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    world.put("conversations", {"conversation_id": "c"})
    instants = {
        "old": datetime(1969, 12, 31, 20, 59, 59, tzinfo=UTC),
        "night": datetime(1969, 12, 31, 21, 0, 0, tzinfo=UTC),
        "older": datetime(1901, 2, 3, 12, tzinfo=UTC),
        "last": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "now": datetime(2026, 3, 1, 9, tzinfo=UTC),
    }
    rows = [message(key, "c", at, "customer") for key, at in instants.items()]
    world.put("messages", *rows)
    world.refresh()
    days = [row["date"] for row in world.rows("SELECT date FROM marts.channel_daily ORDER BY 1")]
    expected = [date(1901, 2, 3), date(1969, 12, 31), date(1970, 1, 1), date(2026, 3, 1)]
    assert days == expected
    assert world.everything()["conversation_sessions"]
    assert world.rows("FROM marts.conversation_now")
    assert _failed(world) == set()


@pytest.mark.parametrize("year", [1985, 2150])
def test_what_lies_outside_of_business_times_does_not_depend_on_when_it_is_computed(
    tmp_path: Path, year: int
) -> None:
    """Summer time is known of the days around now; of far ones it would follow from the season."""
    world = World(tmp_path / "home", timezone="Europe/Berlin")
    far = datetime(year, 6, 30, 22, 30, tzinfo=UTC)  # 23:30, or 00:30 of the next day in summer
    summer, winter = datetime(2025, 7, 1, 9, tzinfo=UTC), datetime(2025, 1, 7, 9, tzinfo=UTC)
    for conversation, first, second in (("c", far, summer), ("d", summer, far)):
        world.put(
            "messages",
            message(f"{conversation} asks", conversation, min(first, second), "customer"),
            message(f"{conversation} replies", conversation, max(first, second), "agent"),
        )
    world.refresh()
    turns = world.rows("FROM marts.response_times")
    assert [turn["response_business_seconds_any"] for turn in turns] == [None, None]
    assert {turn["response_seconds_any"] for turn in turns} == {abs((far - summer).total_seconds())}
    days = {str(row["date"]) for row in world.rows("FROM marts.channel_daily")}
    assert f"{year}-06-30" in days
    world.put("messages", message("old", "e", winter, "customer"))
    world.refresh()
    kept = world.everything()
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == kept
    assert _failed(world) <= {"conversations_are_known"}
    world.close()


def test_a_message_of_no_conversation_counts_in_days_and_costs_and_in_no_session(
    world: World,
) -> None:
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    world.say("c", "customer 03-01 09:00")
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    stray = message("stray", "c", at, "agent", message_type="text") | {"conversation_id": None}
    world.put("messages", stray)
    world.refresh()
    kept = world.everything()
    assert world.one("FROM marts.message_costs")["message_key"] == "stray"
    assert sum(row["messages"] for row in world.rows("FROM marts.message_billing_daily")) == 2
    assert world.one("FROM marts.conversation_sessions")["outbound_messages"] == 0
    assert world.one("FROM marts.contact_summary")["charged_messages"] == 1
    assert _failed(world) <= {"conversations_are_known"}
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == kept
    world.put("messages", stray | {"conversation_id": "c"})
    world.refresh()
    assert world.one("FROM marts.message_costs")["conversation_id"] == "c"
    assert world.one("FROM marts.conversation_sessions")["outbound_messages"] == 1


def test_reactions_open_answer_and_split_no_turn(world: World) -> None:
    reaction = {"message_type": "reaction"}
    world.put("conversations", {"conversation_id": "c"})
    world.say("c", ("customer 03-01 08:00", reaction), "customer 03-01 09:00")
    world.say("c", ("agent 03-01 09:01", reaction), ("customer 03-01 09:02", reaction))
    world.say("c", "customer 03-01 09:03", "agent 03-01 09:10", ("customer 03-01 09:20", reaction))
    world.refresh()
    turn = world.one("FROM marts.response_times")
    assert (turn["customer_messages"], turn["response_seconds"]) == (2, 600.0)
    session = world.one("FROM marts.conversation_sessions")
    counted = ("inbound_messages", "outbound_messages", "reactions", "is_unanswered")
    assert [session[name] for name in counted] == [5, 2, 4, False]
    assert session["first_response_seconds"] == 600.0
    assert world.one("FROM marts.conversation_now")["waiting_since"] is None
    assert _failed(world) <= {"every_living_contact_has_one"}
