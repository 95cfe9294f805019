"""Contacts in sum."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import pandas as pd

from tests.warehouse.marts.plain.common import Row


def summaries(
    contacts: list[Row],
    messages: list[Row],
    calls: list[Row],
    sessions: pd.DataFrame,
    priced: pd.DataFrame,
) -> pd.DataFrame:
    """A row for each contact; what the service has deleted is left out."""
    living = [message for message in messages if not message.get("deleted_at")]
    counts: dict[str, Counter[str]] = {row["contact_id"]: Counter() for row in contacts}
    last: dict[str, list] = {row["contact_id"]: [] for row in contacts}
    for message in living:
        count = counts[message["contact_id"]]
        count[message["direction"]] += 1
        count["charged"] += message["is_charged"] is True
        count["unknown"] += message["is_charged"] is None
        last[message["contact_id"]].append(message["sent_at"])
    for call in calls:
        counts[call["contact_id"]]["calls"] += 1
        last[call["contact_id"]].append(call["started_at"])
    for contact in sessions["contact_id"]:
        counts[contact]["sessions"] += 1
    money = _money({message["message_key"]: message["contact_id"] for message in living}, priced)
    return pd.DataFrame(
        [
            {
                "contact_id": name,
                "sessions": count["sessions"],
                "inbound_messages": count["inbound"],
                "outbound_messages": count["outbound"],
                "calls": count["calls"],
                "charged_messages": count["charged"],
                "unknown_messages": count["unknown"],
                "last_activity_at": max(last[name], default=None),
                "costs": _text(money.get((name, "flagged"), {})),
                "unknown_costs": _text(money.get((name, "unknown"), {})),
            }
            for name, count in counts.items()
        ]
    )


def _money(
    contact_of: dict[str, str], priced: pd.DataFrame
) -> dict[tuple[str, str], dict[str, Decimal]]:
    """By contact and confidence, by currency."""
    found: dict[tuple[str, str], dict[str, Decimal]] = {}
    for row in priced.to_dict("records"):
        if row["message_key"] in contact_of and row["cost"] is not None:
            sums = found.setdefault((contact_of[row["message_key"]], row["confidence"]), {})
            sums[row["currency"]] = sums.get(row["currency"], Decimal(0)) + row["cost"]
    return found


def _text(sums: dict[str, Decimal]) -> str:
    plain = {currency: f"{sums[currency]:.6f}" for currency in sorted(sums)}
    return json.dumps(plain, separators=(",", ":"))
