"""What the doctor and the checks find of prices: gaps between the rate card and the messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.marts.world import World, message, number_in
from warehouse.marts.tie_outs import compare, tie_outs
from warehouse.reports import money

_CARD = """market,category,effective_from,currency,rate,from_volume
Saudi Arabia,marketing,2025-01-01,USD,0.05
Saudi Arabia,utility,2024-01-01,USD,0.02
Saudi Arabia,utility,2025-01-01,USD,0.01
Saudi Arabia,utility,2025-01-01,USD,0.005,1000
France,marketing,2025-01-01,EUR,0.09
France,marketing,2199-01-01,EUR,0.1
"""
_TEMPLATES = """template,category,text
sale,marketing,Sale for {{1}}
order,utility,Order {{1}} left
one,marketing,{{1}} is here
two,utility,There {{1}}re
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    card, templates, log = (tmp_path / name for name in ("card.csv", "templates.csv", "log.csv"))
    card.write_text(_CARD)
    templates.write_text(_TEMPLATES)
    log.write_text("message_id,category\na,utility\nb,nonsense\nc,utility\nc,marketing\n")
    settings: dict[str, Any] = {
        "rate_card": str(card),
        "templates": str(templates),
        "message_categories": str(log),
    }
    world = World(tmp_path / "home", **settings)
    for country in ("SA", "EG"):
        world.put("contacts", {"contact_id": country, **number_in(country)})
    yield world
    world.close()


def _send(world: World, country: str, *texts: str) -> None:
    moment = datetime.now(UTC) - timedelta(days=1)
    for text in texts:
        key = f"{country} {text}"
        row = message(key, country, moment, "template", contact_id=country, body=text)
        world.put("messages", row)
    world.refresh()


def _found(world: World) -> dict[str, str]:
    with world.lake.reading() as connection:
        found = money.findings(connection, world.settings)
    return {one.check: one.text for one in found}


def _failed(world: World) -> set[str]:
    with world.lake.reading() as connection:
        return {one.name for one, number in compare(connection, tie_outs())[0] if number}


def test_gaps_of_the_rate_card_are_named_with_their_lines(world: World) -> None:
    _send(world, "SA", "Sale for you")
    _send(world, "EG", "Order 7 left")
    found = _found(world)
    assert found["rates"] == ("1 charged messages of 90 days have no rate: Egypt utility (1)")
    # Neither the rate of 2024, which another follows, nor a volume, nor one of the future.
    assert found["unused rates"] == "rates that priced no message in 90 days: line 4, 6"
    assert found["message categories"] == "4 rows; 2 ids have no known category, or two"
    assert _failed(world) >= {"charged_messages_have_a_rate", "rates_price_messages"}


def test_messages_of_unknown_category_lack_a_rate_where_no_category_has_one(world: World) -> None:
    _send(world, "SA", "Hello")  # of two currencies it could be
    _send(world, "EG", "Hello")
    assert _found(world)["rates"] == "1 charged messages of 90 days have no rate: Egypt unknown (1)"


def test_templates_that_fit_alike_are_found(world: World) -> None:
    _send(world, "SA", "There is here")
    assert _found(world)["templates"] == (
        "1 messages of 90 days fit templates of two categories alike"
    )
    with world.lake.reading() as connection:
        found = money.findings(connection, world.settings)
    [advice] = [one.advice for one in found if one.check == "templates"]
    assert "the texts of one, two in HATIF_TEMPLATES" in advice
    assert "templates_are_unambiguous" in _failed(world)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.put("contacts", {"contact_id": "SA", **number_in("SA")})
    _send(world, "SA", "Sale for you")
    assert _found(world) == {}
    assert not _failed(world) - {"conversations_are_known", "every_living_contact_has_one"}
    world.close()
