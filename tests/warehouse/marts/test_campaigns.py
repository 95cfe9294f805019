"""Campaigns: what belongs to one, who replied to which, and what it cost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.marts.plain import campaigns as plain
from tests.warehouse.marts.world import World, local, message, number_in
from warehouse.settings.environment import Settings

_TEMPLATES = """template,category,language,text
sale,marketing,en,"Dear {{1}}, our sale ends {{2}}"
sale,marketing,ar,عزيزي {{1}} تنتهي تخفيضاتنا {{2}}
order,utility,en,Your order {{1}} has left
"""
_CARD = """market,category,effective_from,currency,rate
SA,marketing,2026-01-01,USD,0.05
SA,utility,2026-01-01,USD,0.01
SA,service,2026-01-01,USD,0
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    templates, card = tmp_path / "templates.csv", tmp_path / "card.csv"
    templates.write_text(_TEMPLATES, encoding="utf-8")
    card.write_text(_CARD)
    world = World(tmp_path / "home", templates=str(templates), rate_card=str(card))
    world.put("contacts", *({"contact_id": f"k{n}", **number_in("SA")} for n in range(40)))
    yield world
    world.close()


def _send(world: World, moment: str, text: str, contacts: range, **more: Any) -> None:
    """A template to each contact, a minute apart; the text is given the contact's name."""
    rows = [
        message(
            f"{moment} {text[:9]} {number}",
            f"c{number}",
            local(moment) + timedelta(minutes=place),
            "template",
            contact_id=f"k{number}",
            channel_id="line",
            body=text.format(f"Customer {number}"),
            **more,
        )
        for place, number in enumerate(contacts)
    ]
    world.put("messages", *rows)


def test_a_campaign_is_a_burst_of_one_template_in_any_language(world: World) -> None:
    _send(world, "03-02 09:00", "Dear {},  our sale\nends today", range(8))
    _send(world, "03-02 10:00", "عزيزي {} تنتهي تخفيضاتنا اليوم", range(8, 15))
    _send(world, "03-02 10:00", "Your order {} has left", range(9))  # too few
    _send(world, "03-09 09:00", "Dear {}, our sale ends now", range(20))  # a week later
    world.refresh()
    one, other = world.rows("FROM marts.campaigns ORDER BY started_at")
    assert (one["template"], one["category"]) == ("sale", "marketing")
    assert (one["messages"], one["contacts"], other["messages"]) == (15, 15, 20)
    assert (one["cost"], one["currency"]) == (Decimal("0.75"), "USD")
    assert one["campaign_id"] != other["campaign_id"]


def test_texts_without_a_name_are_campaigns_where_they_are_alike(world: World) -> None:
    _send(world, "03-02 09:00", "We  are open on Friday", range(10))
    _send(world, "03-03 09:00", "We are open on\u00a0Friday\u200f", range(10, 12))
    _send(world, "03-02 09:00", "Hello {}", range(20, 35))
    world.refresh()
    row = world.one("FROM marts.campaigns")
    assert (row["template"], row["messages"], row["category"]) == (None, 12, "unknown")


def test_the_gap_is_a_setting(world: World) -> None:
    _send(world, "03-02 09:00", "Dear {}, our sale ends now", range(10))
    _send(world, "03-02 20:00", "Dear {}, our sale ends now", range(10, 20))
    world.refresh()
    assert len(world.rows("FROM marts.campaigns")) == 1
    world.settings = Settings.model_copy(world.settings, update={"campaign_gap_hours": 6.0})
    done = world.refresh()
    assert len(world.rows("FROM marts.campaigns")) == 2
    assert sum(one.written for one in done.values()) == 0


def test_what_a_campaign_brought_is_counted_once(world: World) -> None:
    _send(world, "03-01 09:00", "Your order {} has left", range(2), status="failed")
    _send(world, "03-02 09:00", "Dear {}, our sale ends now", range(12))
    failed = {"status": "failed", "error_code": 131026, "sent_at": local("03-02 09:30")}
    _send(world, "03-02 09:30", "Dear {}, our sale ends now", range(12, 14), **failed)
    world.say("c0", "customer 03-02 10:00", "customer 03-02 10:01", contact_id="k0")
    world.say("c0", "agent 03-02 10:10", "call 03-02 11:00", contact_id="k0")
    world.say("c1", "customer 03-04 10:00", contact_id="k1")
    world.say("c2", "customer 03-05 10:00", contact_id="k2")  # after 72 h
    world.say("c3", ("customer 03-02 10:00", {"message_type": "reaction"}), contact_id="k3")
    world.say("c12", "customer 03-02 10:00", contact_id="k12")  # its message failed
    world.refresh()
    row = world.one("FROM marts.campaigns")
    assert (row["messages"], row["delivered"], row["failed"]) == (14, 12, 2)
    assert row["failures"] == '{"131026":2}'
    assert (row["replies_24h"], row["replies_72h"], row["conversations"]) == (1, 2, 2)
    assert (row["calls"], row["failed_before"]) == (1, 2)
    assert row["median_response_seconds"] == 600
    assert row["cost_per_reply"] == Decimal("0.30")


def test_a_reply_belongs_to_the_last_campaign_before_it(world: World) -> None:
    _send(world, "03-02 09:00", "Dear {}, our sale ends now", range(10))
    _send(world, "03-02 12:00", "Your order {} has left", range(10))
    world.say("c0", "customer 03-02 11:00", contact_id="k0")
    world.say("c1", "customer 03-02 13:00", contact_id="k1")
    world.refresh()
    rows = world.rows("FROM marts.campaigns ORDER BY started_at")
    assert [(row["template"], row["replies_72h"]) for row in rows] == [("sale", 1), ("order", 1)]


def test_campaigns_equal_those_in_plain_python(world: World) -> None:
    chance = random.Random(7)
    texts = ("Dear {}, our sale ends now", "Your order {} has left", "عزيزي {} تنتهي تخفيضاتنا غدا")
    labels = dict(zip(texts, ("sale", "order", "sale"), strict=True))
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = []
    label_of: dict[str, str] = {}
    for number in range(600):
        contact = chance.randrange(40)
        moment = begin + timedelta(minutes=30 * chance.randrange(48 * 40))
        who = chance.choice(("template", "template", "customer", "agent"))
        key = f"{chance.randrange(10**6):06}-{number}"
        own = {"contact_id": f"k{contact}", "channel_id": f"line{chance.randrange(2)}"}
        row = {"message_type": "text"} | message(key, f"c{contact}", moment, who, **own)
        if who == "template":
            text = chance.choice(texts)
            row |= {"body": text.format(contact), "status": chance.choice(("read", "failed"))}
            label_of[key] = labels[text]
            if row["status"] == "failed":
                row |= {"is_charged": False, "delivered_at": None}
        rows.append(row)
    world.put("messages", *rows)
    world.refresh()
    bursts = plain.campaigns(
        rows, lambda row: label_of.get(row["message_key"]), timedelta(hours=24)
    )
    assert len(bursts) > 3
    expected = {row["message_key"]: number for number, burst in enumerate(bursts) for row in burst}
    found = world.rows("FROM marts.campaign_messages")
    groups: dict[str, set[str]] = {}
    for row in found:
        groups.setdefault(row["campaign_id"], set()).add(row["message_key"])
    assert sorted(map(sorted, groups.values())) == sorted(
        sorted(row["message_key"] for row in burst) for burst in bursts
    )
    replies = {row["message_key"]: row["reply_key"] for row in found if row["reply_key"]}
    assert replies == plain.replies(rows, bursts)
    assert expected.keys() == {row["message_key"] for row in found}
