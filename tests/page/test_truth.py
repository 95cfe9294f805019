"""Figures are those of the rehearsal server's own truth, by the definitions in plain Python."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from page.filters import PERIODS
from tests.page.conftest import INVOICE, Visitor, World
from tests.warehouse.marts.plain.common import Row, actor, day_of
from tests.warehouse.marts.plain.money import Bill, by_type
from tests.warehouse.marts.plain.sessions import in_sessions, session_rows, turns, waiting

PERIOD = "year"
TARGET = 300


class Truth:
    """What happened in the period, as the server that made it up remembers it."""

    def __init__(self, world: World) -> None:
        zone = ZoneInfo(world.settings.timezone)
        first, last = PERIODS[PERIOD](world.now.astimezone(zone).date())
        self.days = (str(first), str(last))
        self.all_messages = world.server.truth("messages")
        self.messages = [row for row in self.all_messages if self.has(row["sent_at"])]
        self.outbound = [row for row in self.messages if row["direction"] == "outbound"]
        all_calls = world.server.truth("calls")
        self.calls = [row for row in all_calls if self.has(row["started_at"])]
        sessions = in_sessions(self.all_messages, all_calls)
        every_turn = turns(sessions)
        begun = every_turn["turn_started_at"].map(self.has)
        self.turns = every_turn[begun]
        every_session = session_rows(sessions, every_turn)
        self.sessions = every_session[every_session["started_at"].map(self.has)]
        first = every_turn.sort_values("turn_number")
        first = first.drop_duplicates(["conversation_id", "session_number"])
        first = first.assign(
            session_id=first["conversation_id"] + ":" + first["session_number"].map(str)
        )
        first = first[first["session_id"].isin(set(self.sessions["session_id"]))]
        # Inside business hours: of the answer in the session, else of the late one.
        self.first_business = first["response_business_seconds"].combine_first(
            first["late_response_business_seconds"]
        )
        # Of a contact that is deleted nothing is known.
        contacts: dict[str, Row] = defaultdict(lambda: {"country": None, "phone_e164": None})
        contacts |= {row["contact_id"]: row for row in world.server.truth("contacts")}
        self.campaigns = world.server.truth("campaigns")
        categories = {row["campaign"]: row["category"] for row in self.campaigns}
        known = {
            row["message_key"]: categories[row["campaign"]]
            for row in world.server.truth("campaign_messages")
        }
        bill = Bill(
            self.all_messages,
            contacts,
            world.settings.rate_card,
            zone,
            lambda message: (
                known.get(message["message_key"])
                or by_type(message)
                or by_text(message, world.server.templates)
            ),
        )
        self.bill = pd.DataFrame(bill.priced())

    def has(self, moment: Any) -> bool:
        return self.days[0] <= day_of(moment) <= self.days[1]


def by_text(message: Row, templates: Iterable[Any]) -> str | None:
    """The category of the template that a message was made of."""
    text = " ".join((message["body"] or "").split())
    forms = {
        re.sub(r"\\{\\{\d+\\}\\}", ".+", re.escape(" ".join(one.text.split()))): one.category
        for one in templates
    }
    return next((kind for form, kind in forms.items() if re.fullmatch(form, text)), None)


@pytest.fixture(scope="module")
def truth(world: World) -> Truth:
    return Truth(world)


def part(visitor: Visitor, view: str, name: str, **given: str) -> list[dict[str, Any]]:
    """The rows of a part by their columns' names."""
    shown = visitor.json(f"/data/view/{view}", period=PERIOD, **given)["parts"]
    found = {one["name"]: one for one in shown}[name]
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["rows"]]


def quantiles(values: pd.Series) -> Any:
    known = values.dropna().astype(float).tolist()
    return pytest.approx([median(known), float(np.quantile(known, 0.9))])


def number(rows: Iterable[Row], **wanted: Any) -> int:
    return sum(all(row[name] == value for name, value in wanted.items()) for row in rows)


def test_volume(truth: Truth, visitor: Visitor) -> None:
    inbound = [row for row in truth.messages if row["direction"] == "inbound"]
    assert part(visitor, "volume", "totals") == [
        {
            "inbound_messages": len(inbound),
            "outbound_messages": len(truth.outbound),
            "conversations": len({row["conversation_id"] for row in truth.messages}),
            "contacts_writing": len({row["contact_id"] for row in inbound}),
            "sessions": len(truth.sessions),
        }
    ]
    assert len(inbound) > 100


def test_response_times_late_answers_included(truth: Truth, visitor: Visitor) -> None:
    (shown,) = part(visitor, "answers", "turns", target=str(TARGET))
    seconds = truth.turns["response_seconds_any"].dropna().astype(float)
    assert [shown["turns"], shown["turns_answered"], shown["never_answered"]] == [
        len(truth.turns),
        len(seconds),
        len(truth.turns) - len(seconds),
    ]
    assert shown["answered_late"] == truth.turns["late_response_seconds"].count()
    times = [shown["median_response_seconds"], shown["p90_response_seconds"]]
    assert times == quantiles(seconds)
    in_time = int((seconds <= TARGET).sum())
    assert shown["in_target_share"] == pytest.approx(in_time / len(truth.turns))


def test_first_responses(truth: Truth, visitor: Visitor) -> None:
    (shown,) = part(visitor, "answers", "first")
    times = [shown["median_first_response_seconds"], shown["p90_first_response_seconds"]]
    assert times == quantiles(truth.sessions["first_response_seconds_any"])
    (business,) = part(visitor, "answers", "first", clock="business")
    times = [business["median_first_response_seconds"], business["p90_first_response_seconds"]]
    assert times == quantiles(pd.Series(truth.first_business))
    assert shown["sessions_to_answer"] == int((truth.sessions["inbound_messages"] > 0).sum())
    assert shown["unanswered_sessions"] == int(truth.sessions["is_unanswered"].sum())
    assert shown["started_by_ai"] == int((truth.sessions["first_responder"] == "ai").sum())


def test_who_waits(truth: Truth, world: World, visitor: Visitor) -> None:
    closed = {
        row["conversation_id"]
        for row in world.server.truth("conversations")
        if row["status"] == "closed"
    }
    since = {
        row["conversation_id"]: row["unanswered_since"]
        for row in waiting(
            row | {"event_id": row["event_id"] or row["message_key"]} for row in truth.all_messages
        ).to_dict("records")
        if not pd.isna(row["unanswered_since"]) and row["conversation_id"] not in closed
    }
    shown = part(visitor, "now", "waiting", waiting="all")
    assert {row["conversation_id"]: row["waiting_since"] for row in shown} == {
        conversation: moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        for conversation, moment in since.items()
    }
    assert len(since) > 0


def test_missed_calls_and_calls_to_return(truth: Truth, world: World, visitor: Visitor) -> None:
    missed = [row for row in truth.calls if row["direction"] == "inbound"]
    missed = [row for row in missed if row["is_completed"] is False]
    (shown,) = part(visitor, "calls", "totals")
    assert [shown["calls"], shown["answered_calls"], shown["missed_calls"]] == [
        len(truth.calls),
        number(truth.calls, is_completed=True),
        len(missed),
    ]
    unreturned = [
        call
        for call in missed
        if call["started_at"] >= world.now.replace(second=0) - timedelta(days=7)
        and not any(
            later["contact_id"] == call["contact_id"]
            and later["started_at"] > call["started_at"]
            and (later["direction"] == "outbound" or later["is_completed"])
            for later in truth.calls
        )
    ]
    assert part(visitor, "now", "state")[0]["calls_to_return"] == len(unreturned)


def test_money(truth: Truth, visitor: Visitor) -> None:
    sent = {row["message_key"]: row for row in truth.outbound}
    bill = truth.bill[truth.bill["message_key"].isin(sent)]
    flagged, unknown = (
        bill[bill["confidence"] == confidence] for confidence in ("flagged", "unknown")
    )
    (shown,) = part(visitor, "money", "messages")
    assert shown["delivered_messages"] == sum(
        row["status"] in ("delivered", "read") for row in truth.outbound
    )
    assert [shown["charged_messages"], shown["unknown_messages"]] == [len(flagged), len(unknown)]
    costs = {row["currency"]: row for row in part(visitor, "money", "costs")}
    for currency, rows in flagged[flagged["currency"].notna()].groupby("currency"):
        expected = float(sum(rows["cost"].dropna()))
        assert costs[currency]["estimated_cost"] == pytest.approx(expected)
        assert costs[currency]["charged_messages"] == len(rows)
    assert len(flagged) > 20


def test_the_bill_of_a_month(truth: Truth, visitor: Visitor) -> None:
    months: dict[tuple[str, ...], float] = defaultdict(float)
    flagged = truth.bill[(truth.bill["confidence"] == "flagged") & truth.bill["cost"].notna()]
    for row in flagged.to_dict("records"):
        months[str(row["billed_month"]), row["market"], row["category"]] += float(row["cost"])
    shown = {
        (row["month"], row["market"], row["category"]): row["estimated_cost"]
        for row in part(visitor, "money", "bill")
        if row["estimated_cost"] is not None and row["category"] != "unknown"
    }
    earliest = truth.days[0][:8]
    expected = {key: cost for key, cost in months.items() if key[0] >= earliest}
    assert shown == {key: pytest.approx(cost) for key, cost in expected.items()}
    assert len({key[2] for key, cost in shown.items() if cost}) > 2


def test_their_invoice_and_ours(truth: Truth, visitor: Visitor) -> None:
    shown = part(visitor, "money", "reconciliation")
    invoiced = {(row["month"][:7], row["market"], row["category"]): row for row in shown}
    for line in list(csv.DictReader(INVOICE.splitlines())):
        row = invoiced[line["month"], line["market"], line["category"]]
        assert row["invoiced"] == float(line["amount"])
        assert row["difference"] == pytest.approx(row["invoiced"] - row["ours"])
    for row in shown:
        parts = [value for name, value in row.items() if name[:3] == "by_"]
        assert sum([*parts, row["unexplained"]]) == pytest.approx(row["difference"], abs=1e-6)


def test_campaigns(truth: Truth, visitor: Visitor) -> None:
    (shown,) = part(visitor, "campaigns", "totals")
    names = {"contacts_written": "contacts", "replies": "replies_72h"}
    for name in ("contacts_written", "sent", "delivered", "read", "failed", "replies"):
        column = names.get(name, name)
        assert shown[name] == sum(row[column] for row in truth.campaigns), name
    rows = part(visitor, "campaigns", "list")
    assert shown["campaigns"] == len(rows) == len(truth.campaigns) > 2
    assert sorted(filter(None, (row["template"] for row in rows))) == sorted(
        filter(None, (row["template"] for row in truth.campaigns))
    )


def test_delivery(truth: Truth, visitor: Visitor) -> None:
    (shown,) = part(visitor, "delivery", "totals")
    found = Counter(row["status"] for row in truth.outbound)
    delivered = found["delivered"] + found["read"]
    assert [shown[name] for name in ("attempted", "sent", "delivered", "read", "failed")] == [
        len(truth.outbound),
        found["sent"] + delivered,
        delivered,
        found["read"],
        found["failed"],
    ]
    codes = Counter(row["error_code"] for row in truth.outbound if row["status"] == "failed")
    failures = part(visitor, "delivery", "failures")
    assert {row["error_code"]: row["failures"] for row in failures} == codes


def test_people(truth: Truth, visitor: Visitor) -> None:
    messages: dict[str, int] = defaultdict(int)
    for row in truth.outbound:
        who = actor(row)
        if who is not None and row["status"] != "failed":
            messages[who] += 1
    shown = {row["agent_id"]: row["messages_sent"] for row in part(visitor, "people", "work")}
    assert {who: sent for who, sent in shown.items() if sent} == messages
    assert sum(messages.values()) > 20
