"""What messages cost: dated rates with wildcards, and what nobody knows counted beside the money.

The rate card of these tests is in conftest.py: 0.001 USD for anything, 0.05 USD for a template
anywhere, 0.02 SAR (0.03 from April) for anything to Saudi Arabia, and 0.04 USD for a template to
the Emirates from 10 March, noon there.
"""

from __future__ import annotations

from decimal import Decimal

from tests.warehouse.marts.world import World, local, tells


def cost(reported: World, conversation: str) -> dict:
    return reported.one(f"FROM marts.message_costs WHERE conversation_id = '{conversation}'")


def billing(reported: World, conversation: str) -> list[dict]:
    return reported.rows(
        f"FROM marts.message_billing_daily WHERE channel_id = 'of {conversation}' "
        "ORDER BY date, direction, message_type, currency"
    )


@tells("country outranks type", "template 03-01 09:00", country="SA")
def test_a_country_outranks_a_message_type(reported: World) -> None:
    # SA,* (0.02 SAR) and *,template (0.05 USD) both fit.
    found = cost(reported, "country outranks type")
    assert (found["cost"], found["currency"], found["market"]) == (
        Decimal("0.02"),
        "SAR",
        "Saudi Arabia",
    )
    assert found["confidence"] == "flagged"


@tells("type outranks nothing", "template 03-01 09:00", country="EG")
def test_a_message_type_outranks_no_match(reported: World) -> None:
    assert cost(reported, "type outranks nothing")["cost"] == Decimal("0.05")


@tells("anything", "agent 03-01 09:00", country="EG")
def test_the_widest_row_is_the_last_resort(reported: World) -> None:
    assert cost(reported, "anything")["cost"] == Decimal("0.001")


@tells("unknown country", "template 03-01 09:00", country=None)
def test_a_contact_without_a_country_fits_only_wildcards(reported: World) -> None:
    found = cost(reported, "unknown country")
    assert (found["country"], found["cost"]) == (None, Decimal("0.05"))


@tells(
    "no type",
    ("agent 03-01 09:00", {"message_type": None, "is_charged": None, "is_billable": None}),
    country="EG",
)
def test_a_message_only_the_timeline_knows_is_priced_but_unknown(reported: World) -> None:
    found = cost(reported, "no type")
    assert (found["confidence"], found["cost"]) == ("unknown", Decimal("0.001"))
    (row,) = billing(reported, "no type")
    assert (row["charged_messages"], row["unknown_messages"]) == (0, 1)
    assert (row["estimated_cost"], row["unknown_cost"]) == (Decimal(0), Decimal("0.001"))


@tells(
    "new rate",
    ("agent 03-31 23:59", {"delivered_at": local("03-31 23:59:59"), "read_at": None}),
    ("agent 03-31 23:59:30", {"delivered_at": local("04-01 00:00")}),
)
def test_the_rate_at_the_charge_counts_to_the_second_of_local_midnight(reported: World) -> None:
    # Dates of the rate card begin at midnight in Riyadh; the charge is the delivery.
    rows = reported.rows(
        "FROM marts.message_costs WHERE conversation_id = 'new rate' ORDER BY charged_at"
    )
    assert [row["cost"] for row in rows] == [Decimal("0.02"), Decimal("0.03")]
    assert [str(row["charged_on"]) for row in rows] == ["2026-03-31", "2026-04-01"]
    assert [str(row["sent_on"]) for row in rows] == ["2026-03-31", "2026-03-31"]


@tells(
    "an instant",
    ("template 03-10 10:59", {"delivered_at": local("03-10 10:59:59")}),
    ("template 03-10 11:00", {"delivered_at": local("03-10 11:00")}),
    country="AE",
)
def test_a_rate_may_begin_at_an_instant_with_its_own_offset(reported: World) -> None:
    # Noon at +04:00 is eleven in Riyadh. Before it only *,template fits.
    rows = reported.rows(
        "FROM marts.message_costs WHERE conversation_id = 'an instant' ORDER BY charged_at"
    )
    assert [row["cost"] for row in rows] == [Decimal("0.05"), Decimal("0.04")]


@tells(
    "read first",
    (
        "agent 03-01 09:00",
        {"status": "read", "delivered_at": local("03-01 10:00"), "read_at": local("03-01 09:30")},
    ),
)
def test_read_before_delivered_is_the_charge(reported: World) -> None:
    assert cost(reported, "read first")["charged_at"] == local("03-01 09:30")


@tells("times unknown", ("agent 03-01 09:00", {"delivered_at": None}))
def test_without_receipts_the_message_is_charged_when_sent(reported: World) -> None:
    assert cost(reported, "times unknown")["charged_at"] == local("03-01 09:00")


@tells(
    "before the card",
    (
        "agent 03-01 09:00",
        {"sent_at": local("03-01 09:00").replace(year=2024), "delivered_at": None},
    ),
)
def test_before_the_first_rate_there_is_no_price_and_the_message_stays(reported: World) -> None:
    found = cost(reported, "before the card")
    assert (found["cost"], found["currency"], found["rate"]) == (None, None, None)
    (row,) = billing(reported, "before the card")
    assert (row["charged_messages"], row["estimated_cost"], row["currency"]) == (1, None, None)


@tells(
    "not charged",
    "customer 03-01 09:00",
    ("agent 03-01 09:01", {"status": "failed"}),
    ("agent 03-01 09:02", {"status": "sent"}),
    ("agent 03-01 09:03", {"is_charged": False, "is_billable": False}),
)
def test_inbound_failed_undelivered_and_free_messages_cost_nothing(reported: World) -> None:
    assert reported.rows("FROM marts.message_costs WHERE conversation_id = 'not charged'") == []
    inbound, outbound = billing(reported, "not charged")
    assert (inbound["messages"], inbound["currency"]) == (1, None)
    assert (outbound["messages"], outbound["failed"], outbound["delivered"]) == (3, 1, 1)
    assert outbound["estimated_cost"] is None


@tells("deleted and paid", ("agent 03-01 09:00", {"deleted_at": local("03-02 00:00")}))
def test_what_was_paid_stays_paid_when_the_message_is_deleted(reported: World) -> None:
    assert cost(reported, "deleted and paid")["cost"] == Decimal("0.02")


@tells("day of sending", ("agent 03-01 23:59:59", {"delivered_at": local("03-02 08:00")}))
def test_billing_days_are_those_of_sending(reported: World) -> None:
    (row,) = billing(reported, "day of sending")
    assert str(row["date"]) == "2026-03-01"
    assert row["estimated_cost"] == Decimal("0.02")


def test_without_a_rate_card_every_charge_is_counted_without_a_price(world: World) -> None:
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    world.say("c", "template 03-01 09:00")
    world.refresh()
    assert world.one("FROM marts.message_costs")["cost"] is None
    assert world.one("FROM marts.message_billing_daily")["charged_messages"] == 1


def test_a_contact_whose_country_becomes_known_moves_its_costs_and_days(world: World) -> None:
    world.put("contacts", {"contact_id": "cora", "country": None})
    world.say("c", "template 03-01 09:00")
    world.refresh()
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    world.refresh()
    assert world.one("FROM marts.message_costs")["country"] == "SA"
    assert world.one("FROM marts.message_billing_daily")["country"] == "SA"
