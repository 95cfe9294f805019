"""Bills of made-up months: tiers, allowances, changes of prices, two currencies, three channels.

Messages are charged in the order of (charge, message_key) within the month of the bill, whose zone
is another than that of the reporting days. Receipts come late and are taken back.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.warehouse.marts.plain.money import Bill
from tests.warehouse.marts.world import World, message, number_in
from warehouse.lake.maintenance import maintain
from warehouse.marts import refresh

_ZONE = "America/New_York"
#: After so many the bills are still exact; `make fuzz` makes 200.
_INCREMENTS = 6
_CARD = """\
market,category,message_type,channel,effective_from,currency,rate,from_volume,free_per_month
Saudi Arabia,marketing,,,2025-01-01,USD,0.030303,,
Saudi Arabia,marketing,,,2026-04-17T12:00+03:00,USD,0.050505,,
Saudi Arabia,utility,,,2025-01-01,USD,0.0121,,
Saudi Arabia,utility,,,2025-01-01,USD,0.0101,1,
Saudi Arabia,utility,,,2025-01-01,USD,0.0077,4,
Saudi Arabia,utility,,,2026-10-01,USD,0.0119,,
Saudi Arabia,utility,,,2026-10-01,USD,0.0099,2,
FR,*,template,,2025-01-01,EUR,0.09,,
FR,*,template,line1,2025-01-01,EUR,0.085,3,
Rest of Middle East,*,,,2025-01-01,USD,0.02,,
Kuwait,*,,,2026-10-01,USD,0.021,,
*,*,template,,2025-01-01,USD,0.04,,
*,*,template,,2025-01-01,USD,0.035,20,
*,service,,,2025-01-01,USD,0,,
*,service,,,2026-10-01,USD,0.01,,8
Saudi Arabia,service,,,2026-10-01,USD,0.008,,8
Saudi Arabia,service,,,2026-10-01,USD,0.006,2,8
"""
_TEMPLATES = """template,category,text
sale,marketing,"Dear {{1}}, today only:
  everything for {{2}}"
order,utility,Order {{1}} has left
login,authentication,{{1}} is your code
"""
_TEXTS = {
    "marketing": "Dear Amal,  today only: everything for half\u200f price",
    "utility": "Order 7 has\u00a0left",
    "authentication": "123 is your code",
    None: "Order 7 is late",
}
_COUNTRY = {
    "+966500000001": "SA",
    "+33600000001": "FR",
    "+96550000001": "KW",
    "+201000000001": "EG",
    "+12025550101": "US",
    None: None,
}
_NUMBERS = tuple(_COUNTRY)
_PLACES = (
    *("message_key", "billed_on", "billed_month", "market", "category", "tier", "rate", "cost"),
    *("cost_low", "cost_high", "currency"),
)


def _category(row: dict[str, Any]) -> str | None:
    """A message's category, by its text as it was made."""
    named = {text: category for category, text in _TEXTS.items()}
    return named[row["body"]] if row["message_type"] == "template" else "service"


def _plainly(row: tuple[Any, ...]) -> list[str]:
    return [str(value) for value in row]


class Months:
    """Messages of some months by chance, and a world to bring them into."""

    def __init__(self, world: World, months: int, messages: int) -> None:
        self.world = world
        self.random = random.Random(24)
        self.contacts = {
            f"k{number}": {
                "contact_id": f"k{number}",
                "country": _COUNTRY[_NUMBERS[number % len(_NUMBERS)]],
                "phone_e164": _NUMBERS[number % len(_NUMBERS)],
            }
            for number in range(40)
        }
        self.world.put("contacts", *self.contacts.values())
        self.begin = datetime(2025, 1, 1, tzinfo=UTC)
        self.days = months * 30.4
        self.messages: dict[str, dict[str, Any]] = {}
        self.more(messages)

    def more(self, number: int) -> None:
        """Send so many messages, at any time of all months."""
        rows = []
        for place in range(len(self.messages), len(self.messages) + number):
            moment = self.begin + timedelta(seconds=self.random.randrange(int(self.days * 86_400)))
            contact = f"k{self.random.randrange(40)}"
            row = message(
                f"{self.random.randrange(10**6):06}-{place}",
                f"with {contact}",
                moment.replace(minute=moment.minute // 30 * 30, second=0),
                self.random.choice(("template", "template", "agent")),
                contact_id=contact,
                channel_id=f"line{self.random.randrange(3)}",
            )
            row = {"message_type": "text"} | row
            if row["message_type"] == "template":
                row["body"] = _TEXTS[self.random.choice(("utility",) * 4 + tuple(_TEXTS))]
            rows.append(self._received(row))
        self._put(rows)

    def _received(self, row: dict[str, Any]) -> dict[str, Any]:
        """Its receipts as they may be: most in order, some late, failed or without a webhook."""
        status = self.random.choice(("delivered", "read", "read", "failed", "sent"))
        billable = self.random.choice((True, True, True, True, False, None))
        arrived = status in ("delivered", "read")
        delay = timedelta(minutes=30 * self.random.choice((0, 1, 4, 1500)))
        return row | {
            "status": status,
            "is_billable": billable,
            "is_charged": billable if arrived else False,
            "delivered_at": row["sent_at"] + delay if arrived else None,
        }

    def late_receipts(self, number: int) -> None:
        """Receipts come in, or are taken back, of messages of any month."""
        keys = self.random.sample(sorted(self.messages), number)
        self._put([self._received(self.messages[key]) for key in keys])

    def move_a_contact(self) -> None:
        """A contact gets another number."""
        contact = self.contacts[f"k{self.random.randrange(40)}"]
        number = self.random.choice(_NUMBERS)
        contact |= {"phone_e164": number, "country": _COUNTRY[number]}
        self.world.put("contacts", contact)

    def _put(self, rows: list[dict[str, Any]]) -> None:
        self.messages |= {row["message_key"]: row for row in rows}
        self.world.put("messages", *rows)

    def expected(self) -> list[tuple[Any, ...]]:
        """The costs by the second implementation."""
        card = self.world.settings.rate_card
        bill = Bill(self.messages.values(), self.contacts, card, ZoneInfo(_ZONE), _category)
        rows = bill.priced()
        return sorted((tuple(row[place] for place in _PLACES) for row in rows), key=_plainly)

    def found(self) -> list[tuple[Any, ...]]:
        """The costs by the mart."""
        rows = self.world.rows(f"SELECT {', '.join(_PLACES)} FROM marts.message_costs")
        return sorted((tuple(row[place] for place in _PLACES) for row in rows), key=_plainly)


@pytest.fixture
def months(tmp_path: Path) -> Iterator[Months]:
    card = tmp_path / "card.csv"
    card.write_text(_CARD)
    templates = tmp_path / "templates.csv"
    templates.write_text(_TEMPLATES)
    world = World(
        tmp_path / "home",
        rate_card=str(card),
        billing_timezone=_ZONE,
        templates=str(templates),
    )
    yield Months(world, months=24, messages=2_500)
    world.close()


def test_bills_of_24_months_are_exact_from_scratch_and_after_late_receipts(months: Months) -> None:
    months.world.refresh()
    expected = months.expected()
    assert months.found() == expected
    assert {row[5] for row in expected} == {0, 1, 2, 3, 4, 20, None}
    assert {row[10] for row in expected} == {"USD", "EUR", None}
    increments = int(os.environ.get("BILL_INCREMENTS", _INCREMENTS))
    for number in range(increments):
        months.late_receipts(15)
        if number % 3 == 0:
            months.more(5)
        if number % 4 == 1:
            months.move_a_contact()
        months.world.refresh()
        if number % 3 == 2 or increments > _INCREMENTS:
            assert months.found() == months.expected(), f"after {number + 1} increments"
        if number % 10 == 9:
            maintain(months.world.lake)  # as each night
    _months_add_up(months)
    kept = months.world.everything()
    refresh.rebuild(months.world.lake, months.world.settings)
    assert months.world.everything() == kept


def _months_add_up(months: Months) -> None:
    """The bill by month, and by day of the charge, is the sum of the second implementation's."""
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    place = {name: number for number, name in enumerate(_PLACES)}
    keys = [place[name] for name in ("billed_month", "market", "category", "currency")]
    flagged = {key for key, row in months.messages.items() if row["is_charged"]}
    for row in months.expected():
        if row[0] in flagged and row[place["cost"]] is not None:
            sums[tuple(row[key] for key in keys)] += row[place["cost"]]
    for mart, month in (
        ("message_billing_monthly", "month"),
        ("message_charges_daily", "date_trunc('month', date)::DATE"),
    ):
        rows = months.world.rows(
            f"SELECT {month} AS month, market, category, currency, sum(estimated_cost) AS cost "
            f"FROM marts.{mart} GROUP BY ALL HAVING sum(estimated_cost) > 0"
        )
        found = {tuple(row.values())[:4]: row["cost"] for row in rows}
        assert found == {key: cost for key, cost in sums.items() if cost}


def test_a_late_message_moves_those_after_it_and_nothing_else(tmp_path: Path) -> None:
    card = tmp_path / "card.csv"
    card.write_text(
        "market,category,effective_from,currency,rate,from_volume,free_per_month\n"
        "Saudi Arabia,service,2026-01-01,USD,0.5,,1\n"
        "Saudi Arabia,service,2026-01-01,USD,0.25,2,1\n"
    )
    world = World(tmp_path / "home", rate_card=str(card))
    world.put("contacts", *({"contact_id": one, **number_in("SA")} for one in ("a", "b")))
    world.say("with a", "agent 03-02 09:00", "agent 03-03 09:00", contact_id="a")
    world.say("with a", "agent 03-04 09:00", contact_id="a")
    world.refresh()
    costs = "SELECT cost, is_free, free_reason, tier FROM marts.message_costs ORDER BY charged_at"
    assert [float(row["cost"]) for row in world.rows(costs)] == [0, 0.5, 0.25]
    world.say("with b", "agent 03-01 09:00", contact_id="b")
    done = world.refresh()
    rows = world.rows(costs)
    assert [float(row["cost"]) for row in rows] == [0, 0.5, 0.25, 0.25]
    assert [row["free_reason"] for row in rows] == ["allowance", None, None, None]
    assert [row["tier"] for row in rows] == [0, 0, 2, 2]
    assert done["message_costs"].written == 3  # the last one costs what it did
    world.say("with b", "agent 04-01 09:00", contact_id="b")
    done = world.refresh()  # in another month nothing moves
    assert done["message_costs"].written == 1
    world.close()


def test_the_month_of_the_bill_is_that_of_its_own_zone(tmp_path: Path) -> None:
    world = World(tmp_path / "home", billing_timezone="America/Los_Angeles")
    world.put("contacts", {"contact_id": "cora", **number_in("SA")})
    world.say("c", "agent 04-01 09:00")
    world.refresh()
    row = world.one("FROM marts.message_costs")
    assert row["charged_on"] == date(2026, 4, 1)
    assert (row["billed_on"], row["billed_month"]) == (date(2026, 3, 31), date(2026, 3, 1))
    world.close()


def test_a_market_may_change_on_a_day_of_the_bill(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.put(
        "contacts",
        {"contact_id": "kuwait", "phone_e164": "+96550000001", "country": "KW"},
        {"contact_id": "almaty", "phone_e164": "+77010000001", "country": "KZ"},
        {"contact_id": "kingston", "phone_e164": "+18765550101", "country": "JM"},
        {"contact_id": "nassau", "phone_e164": "+12425550101", "country": "BS"},
    )
    for contact in ("kuwait", "almaty", "kingston", "nassau"):
        world.say(contact, "agent 09-30 23:00", "agent 10-01 09:00", contact_id=contact)
    world.refresh()
    rows = world.rows("FROM marts.message_costs ORDER BY conversation_id, charged_at")
    assert [row["market"] for row in rows] == [
        *("Other", "Kazakhstan", "Rest of Latin America", "Rest of Latin America"),
        *("Rest of Middle East", "Kuwait", "Other", "Other"),
    ]
    world.close()


def test_a_category_that_is_unknown_gives_a_range(tmp_path: Path) -> None:
    card = tmp_path / "card.csv"
    card.write_text(
        "market,category,effective_from,currency,rate\n"
        "SA,marketing,2026-01-01,USD,0.05\nSA,utility,2026-01-01,USD,0.01\n"
        "EG,*,2026-01-01,USD,0.03\n"
    )
    world = World(tmp_path / "home", rate_card=str(card))
    world.put("contacts", *({"contact_id": one, **number_in(one)} for one in ("SA", "EG")))
    world.say("c", "template 03-01 09:00", contact_id="SA")
    world.say("d", "template 03-01 09:00", contact_id="EG")
    world.refresh()
    row = world.one("FROM marts.message_costs WHERE conversation_id = 'c'")
    assert (row["category"], row["cost"], row["currency"]) == ("unknown", None, "USD")
    assert (float(row["cost_low"]), float(row["cost_high"])) == (0.01, 0.05)
    # Where every category costs the same, the cost is known.
    row = world.one("FROM marts.message_costs WHERE conversation_id = 'd'")
    assert (row["category"], float(row["cost"])) == ("unknown", 0.03)
    row = world.one("FROM marts.message_billing_daily WHERE country = 'SA'")
    assert (row["charged_messages"], row["unknown_category_messages"]) == (1, 1)
    assert (float(row["estimated_cost"]), float(row["unknown_category_cost_high"])) == (0, 0.05)
    world.close()
