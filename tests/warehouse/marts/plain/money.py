"""What messages cost, one by one and by day, and how far they came."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd

from tests.warehouse.marts.plain.common import Row, day_of
from warehouse.settings.rate_card import Rate


def charged_at(message: Row) -> datetime:
    known = [moment for moment in (message["delivered_at"], message["read_at"]) if moment]
    return min(known, default=message["sent_at"])


def rate_of(card: Iterable[Rate], country: str | None, kind: str, moment: datetime) -> Rate | None:
    """Country outranks message type; then the latest that is not after the charge."""
    fitting = [
        rate
        for rate in card
        if rate.country in ("*", country)
        and rate.message_type in ("*", kind)
        and rate.effective_from <= moment
    ]
    return max(
        fitting,
        key=lambda rate: (rate.country != "*", rate.message_type != "*", rate.effective_from),
        default=None,
    )


def costs(
    messages: Iterable[Row], countries: dict[str, str | None], card: Iterable[Rate]
) -> pd.DataFrame:
    """A row for each outbound message that arrived and is not surely free."""
    rows = []
    for message in messages:
        if (
            message["direction"] != "outbound"
            or message["is_charged"] is False
            or message["status"] not in ("delivered", "read")
        ):
            continue
        moment = charged_at(message)
        rate = rate_of(card, countries[message["contact_id"]], message["message_type"], moment)
        rows.append(
            {
                "message_key": message["message_key"],
                "charged_at": moment,
                "charged_on": day_of(moment),
                "cost": rate and rate.rate,
                "currency": rate and rate.currency,
                "category": rate and rate.category,
                "confidence": "flagged" if message["is_charged"] else "unknown",
            }
        )
    return pd.DataFrame(rows)


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
                amount if isinstance(amount, Decimal) and said == kind else Decimal(0)
                for amount, said in zip(cost, confidence, strict=True)
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
