"""The same definitions in pandas, written apart, agree on a workspace made by chance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from tests.warehouse.marts.chance import Chance
from tests.warehouse.marts.plain import calls, contacts, days, handling, money, sessions
from tests.warehouse.marts.world import World
from warehouse.settings.rate_card import SAMPLE

CONVERSATIONS = 5_000


class Both:
    """The marts of a world, and what it was made of."""

    def __init__(self, world: World, chance: Chance) -> None:
        self.world = world
        self.messages = list(chance.messages.values())
        self.calls = list(chance.calls.values())
        self.contacts = list(chance.contacts.values())
        self.countries = {row["contact_id"]: row["country"] for row in chance.contacts.values()}
        self.sessions = sessions.in_sessions(self.messages, self.calls)
        self.turns = sessions.turns(self.sessions)
        self.session_rows = sessions.session_rows(self.sessions, self.turns)
        card, zone = world.settings.rate_card, ZoneInfo("Asia/Riyadh")
        self.costs = money.Bill(self.messages, chance.contacts, card, zone).costs()

    def agree(self, expected: pd.DataFrame, sql: str, *key: str) -> None:
        """Compare the expected columns with a query's, row by row."""
        columns = list(expected.columns)
        sides = []
        for rows in (expected.to_dict("records"), self.world.rows(sql)):
            plainly = [{column: _plainly(row[column]) for column in columns} for row in rows]
            sides.append(sorted(plainly, key=lambda row: [str(row[column]) for column in key]))
        ours, theirs = sides
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            assert one == other


def _plainly(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else round(float(value), 6)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    world = World(tmp_path_factory.mktemp("both"), rate_card=str(SAMPLE))
    chance = Chance(seed=11)
    for number in range(CONVERSATIONS):
        chance.conversation(f"c{number}", 8)
    chance.put(world)
    world.refresh()
    yield Both(world, chance)
    world.close()


def test_turns_equal_those_in_plain_python(both: Both) -> None:
    both.agree(
        both.turns.drop(columns=["any_user_id"]),
        "SELECT *, split_part(session_id, ':', 2)::BIGINT AS session_number "
        "FROM marts.response_times",
        "conversation_id",
        "turn_number",
    )


def test_sessions_equal_those_in_plain_python(both: Both) -> None:
    both.agree(both.session_rows, "FROM marts.conversation_sessions", "session_id")


def test_hand_overs_and_what_ai_resolved_equal_those_in_plain_python(both: Both) -> None:
    expected = handling.of_sessions(both.sessions, both.session_rows)
    assert expected["is_resolved_by_ai"].any()
    assert expected["handed_over_at"].notna().any()
    both.agree(expected, "FROM marts.conversation_sessions", "session_id")


def test_messages_in_sessions_and_local_hours_equal_those_in_plain_python(both: Both) -> None:
    expected = handling.placed(both.messages, both.sessions, "message_key", "sent_at", "sent")
    both.agree(expected, "FROM marts.message_facts", "message_key")


def test_calls_in_sessions_and_local_hours_equal_those_in_plain_python(both: Both) -> None:
    expected = handling.placed(both.calls, both.sessions, "call_key", "started_at", "started")
    both.agree(expected, "FROM marts.call_facts", "call_key")


def test_what_followed_missed_calls_equals_that_in_plain_python(both: Both) -> None:
    expected = handling.missed_calls(both.calls, both.messages)
    assert expected["called_back_at"].notna().any()
    both.agree(expected, "FROM marts.missed_calls", "call_key")


def test_costs_equal_those_in_plain_python(both: Both) -> None:
    assert len(both.costs)
    both.agree(both.costs, "FROM marts.message_costs", "message_key")


def test_billing_by_day_equal_those_in_plain_python(both: Both) -> None:
    expected = money.billing(both.messages, both.countries, both.costs)
    key = ("date", "channel_id", "direction", "message_type", "country", "currency")
    both.agree(expected, "FROM marts.message_billing_daily", *key)


def test_the_delivery_funnel_equals_that_in_plain_python(both: Both) -> None:
    expected = money.delivery(both.messages)
    both.agree(expected, "FROM marts.delivery_daily", "date", "channel_id", "message_type")


def test_agents_by_day_equal_those_in_plain_python(both: Both) -> None:
    expected = days.agents(both.messages, both.calls, both.turns)
    both.agree(expected, "FROM marts.agent_daily", "date", "user_id")


def test_channels_by_day_equal_those_in_plain_python(both: Both) -> None:
    expected = days.channels(both.messages, both.calls, both.session_rows)
    both.agree(expected, "FROM marts.channel_daily", "date", "channel_id")


def test_calls_by_day_equal_those_in_plain_python(both: Both) -> None:
    both.agree(calls.by_day(both.calls), "FROM marts.call_daily", "date", "channel_id", "direction")


def test_service_levels_equal_those_in_plain_python(both: Both) -> None:
    expected = calls.service_levels(both.calls)
    key = ("date", "channel_id", "formula", "threshold_seconds")
    both.agree(expected, "FROM marts.call_service_levels", *key)


def test_contact_summaries_equal_those_in_plain_python(both: Both) -> None:
    expected = contacts.summaries(
        both.contacts, both.messages, both.calls, both.session_rows, both.costs
    )
    both.agree(expected, "FROM marts.contact_summary", "contact_id")


def test_waiting_conversations_equal_those_in_plain_python(both: Both) -> None:
    both.agree(
        sessions.waiting(both.messages),
        "FROM marts.conversation_state WHERE conversation_id IN (SELECT conversation_id "
        "FROM core.messages WHERE deleted_at IS NULL)",
        "conversation_id",
    )
