"""What messages cost, one by one and by day, and how far they came."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tests.warehouse.marts.plain.common import Row, day_of
from warehouse.settings import markets
from warehouse.settings.rate_card import Rate


def charged_at(message: Row) -> datetime:
    known = [moment for moment in (message.get("delivered_at"), message.get("read_at")) if moment]
    return min(known, default=message["sent_at"])


def market_of(number: str | None, day: date) -> str | None:
    """The market of a number on a day of the bill: the longest calling code, as it is that day."""
    if not number:
        return None
    fitting = [
        (len(code), row["since"], row["market"])
        for row in _market_rows()
        for code in row["calling_codes"].split()
        if number[1:].startswith(code) and row["since"] <= str(day)
    ]
    return max(fitting)[2] if fitting else "Other"


@cache
def _market_rows() -> list[dict[str, str]]:
    lines = Path(markets.__file__).with_name("markets.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


class Bill:
    """All charged messages, and how many of them come before another in a month.

    Args:
        messages: any; only those that are charged, or perhaps, are looked at.
        contacts: by id, with country and phone_e164.
        card: the rates.
        zone: of the bill.
        category_of: a message's category, None where it is unknown.
    """

    def __init__(
        self,
        messages: Iterable[Row],
        contacts: dict[str, Row],
        card: Iterable[Rate],
        zone: ZoneInfo,
        category_of: Callable[[Row], str | None] | None = None,
    ) -> None:
        self.card = list(card)
        self.rows = [
            self._charge(message, contacts[message["contact_id"]], zone, category_of or by_type)
            for message in messages
            if message["direction"] == "outbound"
            and message["is_charged"] is not False
            and message["status"] in ("delivered", "read")
        ]
        self._orders: dict[tuple[object, ...], list[tuple[datetime, str]]] = {}

    @staticmethod
    def _charge(
        message: Row, contact: Row, zone: ZoneInfo, category_of: Callable[[Row], str | None]
    ) -> Row:
        moment = charged_at(message)
        day = moment.astimezone(zone).date()
        return {
            "message_key": message["message_key"],
            "charged_at": moment,
            "charged_on": day_of(moment),
            "billed_on": day,
            "billed_month": day.replace(day=1),
            "country": contact["country"],
            "market": market_of(contact.get("phone_e164"), day),
            "channel_id": message["channel_id"],
            "message_type": message["message_type"],
            "category": category_of(message) or "unknown",
            "confidence": "flagged" if message["is_charged"] else "unknown",
        }

    def costs(self) -> pd.DataFrame:
        """A row for each message, priced."""
        return pd.DataFrame(self.priced())

    def priced(self) -> list[Row]:
        """The same as plain rows."""
        return [row | self._price(row) for row in self.rows]

    def _price(self, row: Row) -> Row:
        known = row["category"] != "unknown"
        options = [row["category"]] if known else self._possible(row)
        found = [self._price_as(row, option) for option in options]
        costs = [one["cost"] for one in found if one["cost"] is not None]
        currencies = {one["currency"] for one in found if one["cost"] is not None}
        nothing = dict.fromkeys(("tier", "rate", "cost", "cost_low", "cost_high", "currency"))
        if known:
            return nothing | found[0]
        if len(currencies) != 1:
            return nothing
        ends = {"cost_low": min(costs), "cost_high": max(costs), "currency": currencies.pop()}
        is_sure = len(costs) == len(options) and min(costs) == max(costs)
        rates = {one["rate"] for one in found}
        tiers = {one["tier"] for one in found}
        return nothing | ends | {
            "cost": min(costs) if is_sure else None,
            "rate": rates.pop() if is_sure and len(rates) == 1 else None,
            "tier": tiers.pop() if is_sure and len(tiers) == 1 else None,
        }  # fmt: skip

    def _possible(self, row: Row) -> list[str]:
        kinds = {"marketing", "utility", "authentication"}
        kinds |= {rate.category for rate in self.card} - {"*", "service"}
        return [*sorted(kinds), *(["service"] if row["message_type"] is None else [])]

    def _price_as(self, row: Row, category: str) -> Row:
        fitting = [
            rate
            for rate in self.card
            if rate.market in ("*", row["market"])
            and rate.country in ("*", row["country"])
            and rate.category in ("*", category)
            and rate.message_type in ("*", row["message_type"])
            and rate.channel in ("*", row["channel_id"])
            and rate.effective_from <= row["charged_at"]
            and self._before(row, rate.market, rate.country, rate.category) >= rate.from_volume
        ]
        if not fitting:
            return {"cost": None}
        rate = max(
            fitting,
            key=lambda one: (
                2 if one.country != "*" else 1 if one.market != "*" else 0,
                one.category != "*",
                one.message_type != "*",
                one.channel != "*",
                one.effective_from,
                one.from_volume,
            ),
        )
        used = self._before(row, "*", "*", rate.category, row["channel_id"])
        return {
            "tier": rate.from_volume,
            "rate": rate.rate,
            "cost": Decimal(0) if used < rate.free_per_month else rate.rate,
            "currency": rate.currency,
        }

    def _before(self, row: Row, market: str, country: str, category: str, *channel: str) -> int:
        """How many charged messages of the month come before a message."""
        key = (row["billed_month"], market, country, category, *channel)
        if key not in self._orders:
            self._orders[key] = sorted(
                (one["charged_at"], one["message_key"])
                for one in self.rows
                if one["confidence"] == "flagged"
                and one["billed_month"] == row["billed_month"]
                and market in ("*", one["market"])
                and country in ("*", one["country"])
                and category in ("*", one["category"])
                and (not channel or one["channel_id"] == channel[0])
            )
        return bisect_left(self._orders[key], (row["charged_at"], row["message_key"]))


def by_type(message: Row) -> str | None:
    """The category where nobody names it: no template is of another than service."""
    kind = message["message_type"]
    return None if kind in (None, "template") else "service"


def billing(
    messages: list[Row], countries: dict[str, str | None], priced: pd.DataFrame
) -> pd.DataFrame:
    """Messages by day, channel, direction, type, country and currency."""
    frame = _with_days(messages)
    frame["country"] = frame["contact_id"].map(countries)
    price = priced.set_index("message_key")
    frame["currency"] = frame["message_key"].map(price["currency"])
    cost = frame["message_key"].map(price["cost"])
    confidence = frame["message_key"].map(price["confidence"])
    frame["messages"] = 1
    frame["delivered"] = frame["status"].isin(["delivered", "read"])
    frame["failed"] = frame["status"] == "failed"
    frame["billable_messages"] = [value is True for value in frame["is_billable"]]
    frame["charged_messages"] = [value is True for value in frame["is_charged"]]
    frame["unknown_messages"] = [value is None for value in frame["is_charged"]]
    for column, kind in (("estimated_cost", "flagged"), ("unknown_cost", "unknown")):
        frame[column] = pd.Series(
            [
                amount if isinstance(amount, Decimal) and wording == kind else Decimal(0)
                for amount, wording in zip(cost, confidence, strict=True)
            ],
            dtype=object,
        )
    keys = ["date", "channel_id", "direction", "message_type", "country", "currency"]
    counted = [name for name in frame if name == "messages" or str(name).endswith("_messages")]
    columns = [*counted, "delivered", "failed", "estimated_cost", "unknown_cost"]
    days = frame.groupby(keys, dropna=False)[columns].sum().reset_index()
    days.loc[days["currency"].isna(), ["estimated_cost", "unknown_cost"]] = None
    return days


def delivery(messages: list[Row]) -> pd.DataFrame:
    """The funnel by day, channel and type."""
    ours = [message for message in messages if message["direction"] == "outbound"]
    frame = _with_days(ours)
    frame["seconds"] = [
        (charged_at(m) - m["sent_at"]).total_seconds()
        if m["delivered_at"] or m["read_at"]
        else np.nan
        for m in ours
    ]
    rows = []
    for key, group in frame.groupby(["date", "channel_id", "message_type"], dropna=False):
        count = group["status"].value_counts()
        read = int(count.get("read", 0))
        delivered = read + int(count.get("delivered", 0))
        sent, failed = delivered + int(count.get("sent", 0)), int(count.get("failed", 0))
        rows.append(
            {
                **dict(zip(["date", "channel_id", "message_type"], key, strict=True)),
                "attempted": len(group),
                "pending": int(count.get("pending", 0)),
                "sent": sent,
                "delivered": delivered,
                "read": read,
                "failed": failed,
                "delivery_rate": delivered / (sent + failed) if sent + failed else None,
                "read_rate": read / delivered if delivered else None,
                "failure_rate": failed / (sent + failed) if sent + failed else None,
                "median_delivery_seconds": group["seconds"].median(),
                "p95_delivery_seconds": group["seconds"].quantile(0.95),
            }
        )
    return pd.DataFrame(rows)


def _with_days(messages: list[Row]) -> pd.DataFrame:
    columns = {
        name: pd.Series([m.get(name) for m in messages], dtype=object)
        for name in (
            "message_key",
            "contact_id",
            "channel_id",
            "direction",
            "message_type",
            "status",
            "is_billable",
            "is_charged",
            "conversation_id",
        )
    }
    return pd.DataFrame({**columns, "date": [day_of(m["sent_at"]) for m in messages]})
