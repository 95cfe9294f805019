"""Campaigns of the rehearsal server, synced by the command: the marts hold what was sent."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rehearsal import Habits, RehearsalServer
from tests.comparison import _plain, stored
from tests.conftest import Serve, settings_for
from tests.message_files import write_message_files
from tests.pipelines.conftest import hatif
from warehouse.settings.environment import Settings

Row = dict[str, Any]

_PRICES = {"marketing": "0.05", "utility": "0.02", "authentication": "0.03", "service": "0"}


def _files(server: RehearsalServer, folder: Path) -> dict[str, Any]:
    """Write what a workspace knows of its own messages; return the settings that name it."""
    card = folder / "card.csv"
    rates = (f"*,{category},2020-01-01,USD,{rate}" for category, rate in _PRICES.items())
    card.write_text("\n".join(("market,category,effective_from,currency,rate", *rates)))
    files = {"rate_card": str(card), **write_message_files(server, folder)}
    return {f"HATIF_{name.upper()}": path for name, path in files.items()}


def _by_key(rows: list[Row], column: str) -> dict[str, Row]:
    found = {row[column]: row for row in rows}
    assert len(found) == len(rows)
    return found


def _named(settings: Settings, true: dict[str, Row]) -> dict[str, str]:
    """By the mart's id of a campaign its key in the truth, where it has exactly its messages."""
    ids = stored(settings, "SELECT campaign_id, message_key FROM marts.campaign_messages")
    named = {row["campaign_id"]: true[row["message_key"]]["campaign"] for row in ids}
    assert len(set(named.values())) == len(named)
    assert {named[row["campaign_id"]] for row in ids} == {row["campaign"] for row in true.values()}
    return named


def _wrong(ours: Row, true: Row, *but: str) -> dict[str, tuple[Any, Any]]:
    return {
        column: (value, ours[column])
        for column, value in true.items()
        if column not in but and _plain(value) != _plain(ours[column])
    }


def _with_costs(true: Row) -> Row:
    """A campaign's costs: every rate is the same for all messages of a category."""
    price, charged = _PRICES.get(true["category"]), true["charged"]
    cost = None if price is None else charged * Decimal(price)
    per_reply = None if cost is None or not true["replies_72h"] else cost / true["replies_72h"]
    return true | {
        "currency": "USD",
        "cost": cost,
        "unpriced_messages": charged if cost is None else 0,
        "cost_per_reply": per_reply,
    }


@pytest.mark.parametrize(
    ("seed", "way"), [(7, {}), (8, {"lost": 0.1, "late": 0.1, "repeated": 0.1})]
)
def test_campaigns_equal_what_was_sent_in_every_column(
    serve: Serve, tmp_path: Path, seed: int, way: dict[str, Any]
) -> None:
    # Deliveries that name no event can make a second message of one: not the subject here.
    habits = Habits(without_event_id=0)
    sizes = {"contacts": 130, "conversations": 130, "events": 600}
    server = serve(seed=seed, campaigns=True, habits=habits, **sizes)
    secrets = server.webhook_secrets_setting
    settings = settings_for(server, tmp_path / "home", webhook_secrets=secrets)
    server.write_webhooks(Path(settings.webhook_location), **way)
    more = _files(server, tmp_path) | {"HATIF_WEBHOOK_SECRETS": secrets}

    ended = hatif("sync", "--full", settings=settings, **more)
    assert ended.returncode == 0, ended.stderr

    true = _by_key(server.truth("campaign_messages"), "message_key")
    ours = _by_key(stored(settings, "FROM marts.campaign_messages"), "message_key")
    assert ours.keys() == true.keys()
    named = _named(settings, true)
    columns = {*next(iter(ours.values()))} - {"campaign_id"}
    assert columns <= next(iter(true.values())).keys()
    for key, row in true.items():
        assert not _wrong(ours[key], row, "campaign", "is_charged"), row

    campaigns = {row["campaign"]: _with_costs(row) for row in server.truth("campaigns")}
    rows = stored(settings, "FROM marts.campaigns")
    assert {named[row["campaign_id"]] for row in rows} == campaigns.keys()
    assert {*rows[0]} - {"campaign_id"} <= next(iter(campaigns.values())).keys()
    for row in rows:
        row["failures"] = json.loads(row["failures"])
        found = campaigns[named[row["campaign_id"]]]
        assert not _wrong(row, found, "campaign", "charged"), found["campaign"]

    assert {"two languages", "a week later", "a text", "the text a week later"} <= campaigns.keys()
    assert "too few" not in campaigns
    assert campaigns["to those it failed for"]["failed_before"] >= 10
    for column in ("replies_24h", "calls", "failed", "charged"):
        assert sum(row[column] for row in campaigns.values()), column
    assert any(row["replies_72h"] > row["replies_24h"] for row in campaigns.values())
