"""Invoices beside our costs: each seeded discrepancy is found and named; else nothing differs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.marts.test_bills import Months
from tests.warehouse.marts.world import World, number_in
from warehouse.marts import refresh
from warehouse.marts.tie_outs import tie_outs, wrong
from warehouse.reports import money
from warehouse.settings.invoices import read_mapping

_CARD = """market,category,effective_from,currency,rate
Saudi Arabia,service,2026-01-01,USD,0.01
Egypt,service,2026-01-01,USD,0.02
France,service,2026-01-01,EUR,0.05
Saudi Arabia,marketing,2026-01-01,USD,0.05
Saudi Arabia,utility,2026-01-01,USD,0.04
"""
_HEADING = "month,channel,market,category,quantity,amount,currency"
#: What the messages below cost in March.
_TRUE = {
    "sa": "2026-03,line,Saudi Arabia,service,3,0.03,USD",
    "eg": "2026-03,line,EG,Service,2,0.04,usd",
    "fr": "2026-03,,france,service,1,0.05,EUR",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    card, folder = tmp_path / "card.csv", tmp_path / "invoices"
    card.write_text(_CARD)
    folder.mkdir()
    world = World(tmp_path / "home", rate_card=str(card), invoices=str(folder))
    world.put("channels", {"channel_id": "line", "phone_number": "+966 9200", "name": "Main"})
    for country in ("SA", "EG", "FR", "QA"):
        world.put("contacts", {"contact_id": country, **number_in(country)})
    world.say("sa", "agent 03-05 09:00", "agent 03-06 09:00", "agent 03-07 09:00", contact_id="SA")
    world.say("eg", "agent 03-05 09:00", "agent 03-06 09:00", contact_id="EG")
    world.say("fr", "agent 03-05 09:00", contact_id="FR")
    yield world
    world.close()


def _bill(world: World, *lines: str, name: str = "march.csv") -> None:
    folder = world.settings.invoices
    assert folder is not None
    (folder / name).write_text("\n".join((_HEADING, *lines)) + "\n")
    world.refresh()


def _row(world: World, market: str, category: str = "service") -> dict[str, Any]:
    return world.one(
        f"FROM marts.invoice_reconciliation WHERE market = '{market}' AND category = '{category}'"
    )


def test_without_a_discrepancy_the_difference_is_nothing(world: World) -> None:
    _bill(world, *_TRUE.values())
    rows = world.rows("FROM marts.invoice_reconciliation")
    assert [(row["difference"], row["unexplained"]) for row in rows] == [(0, 0)] * 3
    assert {row["explanation"] for row in rows} == {"agrees"}
    with world.lake.reading() as connection:
        texts = [one.text for one in money.findings(connection, world.settings)]
    assert "0.07 USD invoiced, ours differ by 0.00; 100.0 % of the bill explained" in texts


def test_messages_without_a_webhook_are_named(world: World) -> None:
    world.say("sa", ("agent 03-08 09:00", {"is_charged": None}), contact_id="SA")
    _bill(world, "2026-03,,Saudi Arabia,service,4,0.04,USD")
    row = _row(world, "Saudi Arabia")
    assert row["by_messages_without_webhook"] == row["difference"] == Decimal("0.01")
    assert (row["explanation"], row["unexplained"]) == ("messages_without_webhook", 0)


def test_messages_of_unknown_category_are_named_once(world: World) -> None:
    world.say("t", "template 03-08 09:00", "template 03-08 10:00", contact_id="SA")
    _bill(
        world,
        "2026-03,,Saudi Arabia,marketing,1,0.05,USD",
        "2026-03,,Saudi Arabia,utility,2,0.08,USD",
    )
    row = _row(world, "Saudi Arabia", "marketing")
    assert (row["by_unknown_category"], row["explanation"]) == (Decimal("0.05"), "unknown_category")
    row = _row(world, "Saudi Arabia", "utility")
    assert (row["by_unknown_category"], row["unexplained"]) == (Decimal("0.05"), Decimal("0.03"))


def test_messages_at_the_edge_of_the_month_are_named(world: World) -> None:
    world.say("sa", "agent 04-01 01:00", contact_id="SA")
    world.say("eg", "agent 03-01 01:00", contact_id="EG")
    _bill(world, "2026-03,,SA,service,4,0.04,USD", "2026-03,,EG,service,2,0.04,USD")
    row = _row(world, "Saudi Arabia")
    assert (row["by_month_edge"], row["explanation"]) == (Decimal("0.01"), "month_edge")
    row = _row(world, "Egypt")
    assert (row["by_month_edge"], row["explanation"]) == (Decimal("-0.02"), "month_edge")


def test_another_rate_is_named(world: World) -> None:
    _bill(world, "2026-03,,SA,service,3,0.036,USD", _TRUE["eg"])
    row = _row(world, "Saudi Arabia")
    assert (row["by_other_rate"], row["explanation"]) == (Decimal("0.006"), "other_rate")


def test_what_nothing_explains_is_named(world: World) -> None:
    _bill(
        world,
        "2026-03,,SA,service,9,0.09,USD",  # more messages than there are
        "2026-03,,Qatar,service,5,0.1,USD",  # of a market that we never wrote to
        "2026-03,,,VAT,,15,USD",
        _TRUE["eg"],
    )
    row = _row(world, "Saudi Arabia")
    assert (row["unexplained"], row["explanation"]) == (Decimal("0.06"), "unexplained")
    assert row["explained_share"] == pytest.approx(1 / 3)
    assert _row(world, "Qatar")["explanation"] == "not_ours"
    vat = world.one("FROM marts.invoice_reconciliation WHERE category = 'vat'")
    assert (vat["unexplained"], vat["explanation"]) == (15, "not_ours")
    assert _row(world, "France")["explanation"] == "not_invoiced"


def test_a_malformed_file_is_named_and_stops_no_other(world: World) -> None:
    folder = world.settings.invoices
    assert folder is not None
    (folder / "bad.csv").write_text(
        f"{_HEADING}\n{_TRUE['sa']}\n2026-03,,SA,service,3,12 USD,USD\n"
    )
    (folder / "utf16.csv").write_bytes("month".encode("utf-16"))
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "mapping.toml").write_text("[columns]\nmonht = 'x'\n")
    _bill(world, *_TRUE.values())
    errors = {
        row["file"]: row["error"] for row in world.rows("FROM ops.invoice_files ORDER BY file")
    }
    assert errors["march.csv"] is None
    assert errors["bad.csv"] == "line 3: amount must be a number such as 12.50, with a point"
    counted = {row["file"]: row["lines"] for row in world.rows("FROM ops.invoice_files")}
    assert (counted["bad.csv"], counted["march.csv"], counted["utf16.csv"]) == (1, 3, 0)
    assert errors["mapping.toml"].startswith("columns: 'monht' is none of month")
    assert "UTF-16" in errors["utf16.csv"]
    assert "first line of column names" in errors["other.csv"]
    assert world.one("SELECT count(*) AS n FROM marts.invoice_lines")["n"] == 4
    (folder / "bad.csv").unlink()
    (folder / "march.csv").unlink()
    world.refresh()
    assert world.one("SELECT count(*) AS n FROM marts.invoice_lines")["n"] == 0


def test_an_invoice_that_lies_there_twice_counts_once(world: World) -> None:
    folder = world.settings.invoices
    assert folder is not None
    _bill(world, *_TRUE.values(), name="march (1).csv")
    _bill(world, *_TRUE.values(), name="march.csv")
    assert world.one("SELECT count(*) AS n FROM marts.invoice_lines")["n"] == 3
    row = world.one("FROM ops.invoice_files WHERE error IS NOT NULL")
    assert (row["file"], row["error"]) == (
        "march.csv",
        "has the content of march (1).csv, which counts once",
    )


def test_an_invoice_edited_within_a_second_is_read_anew(world: World) -> None:
    folder = world.settings.invoices
    assert folder is not None
    _bill(world, *_TRUE.values())
    times = (folder / "march.csv").stat()
    (folder / "march.csv").write_text(
        (folder / "march.csv").read_text().replace("service,3,0.03", "service,4,0.04")
    )
    os.utime(folder / "march.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    world.refresh()
    assert _row(world, "Saudi Arabia")["invoiced"] == Decimal("0.04")
    (folder / "march.csv").touch()
    world.refresh()
    assert _row(world, "Saudi Arabia")["invoiced"] == Decimal("0.04")


def test_other_headers_are_mapped_and_other_columns_kept(world: World) -> None:
    folder = world.settings.invoices
    assert folder is not None
    (folder / "mapping.toml").write_text(
        '[columns]\nmonth = "Billing period"\namount = "Total"\n[defaults]\ncurrency = "USD"\n'
    )
    (folder / "a.csv").write_text(
        "Market,Billing period,Category,Total,Tax,Channel\n"
        'SA,2026-03-31,service,"1,000.5",5%,9669200\n'
    )
    # The export of Meta's pricing analytics is known by its headers.
    (folder / "meta.csv").write_text(
        "start,end,phone_number,country,pricing_type,pricing_category,volume,cost\n"
        "1772312400,1774904400,+966 9200,SA,REGULAR,AUTHENTICATION_INTERNATIONAL,2,0.0455000004\n"
    )
    world.refresh()
    one, other = world.rows("FROM marts.invoice_lines ORDER BY file")
    assert (one["market"], one["amount"], one["more"]) == (
        "Saudi Arabia",
        Decimal("1000.5"),
        '{"tax": "5%"}',
    )
    assert one["channel_id"] == other["channel_id"] == "line"
    assert (other["category"], other["amount"], str(other["month"])) == (
        "authentication_international",
        Decimal("0.0455"),
        "2026-03-01",
    )
    assert read_mapping(folder).defaults == {"currency": "USD"}


def test_invoices_made_of_the_second_implementation_agree_to_the_last_decimal(
    tmp_path: Path,
) -> None:
    from tests.warehouse.marts import test_bills

    card, templates, folder = (tmp_path / name for name in ("card.csv", "templates.csv", "bills"))
    card.write_text(test_bills._CARD)
    templates.write_text(test_bills._TEMPLATES)
    folder.mkdir()
    world = World(
        tmp_path / "home",
        rate_card=str(card),
        templates=str(templates),
        billing_timezone="America/New_York",
        invoices=str(folder),
    )
    months = Months(world, months=24, messages=600)
    sums: dict[tuple[str, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in months.expected():
        key, _, month, market, category, *_, currency = row
        if row[7] is not None and months.messages[key]["is_charged"]:
            entry = sums[(f"{month:%Y-%m}", market or "", category, currency)]
            entry[0] += 1
            entry[1] += row[7]
    lines = [
        f'{month},"{market}",{category},{number},{amount},{currency}'
        for (month, market, category, currency), (number, amount) in sums.items()
    ]
    (folder / "all.csv").write_text(
        "\n".join(("month,market,category,quantity,amount,currency", *lines))
    )
    world.refresh()
    rows = world.rows("FROM marts.invoice_reconciliation WHERE difference <> 0 OR unexplained <> 0")
    assert rows == []
    assert world.one("SELECT count(*) AS n FROM marts.invoice_reconciliation")["n"] >= len(lines)
    kept = world.rows("FROM marts.invoice_lines ORDER BY file, line")
    refresh.rebuild(world.lake, world.settings)
    assert world.rows("FROM marts.invoice_lines ORDER BY file, line") == kept
    world.close()


def test_an_amount_too_large_for_its_column_is_unknown_and_not_nothing(world: World) -> None:
    _bill(world, *["2026-03,,Qatar,service,1,999999999999,USD"] * 2)
    row = _row(world, "Qatar")
    assert (row["invoiced"], row["difference"], row["unexplained"]) == (None, None, None)
    assert (row["explanation"], row["explained_share"]) == ("not_ours", 0)
    with world.lake.reading() as connection:
        failed = {one.name for one in tie_outs() if wrong(connection, one)}
    assert "invoices_are_compared_once" not in failed
