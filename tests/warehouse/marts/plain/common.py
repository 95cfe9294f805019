"""Days, business time, and whose message it is."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from tests.warehouse.marts.world import RIYADH

Row = dict[str, Any]


def business_seconds(begin: datetime, end: datetime) -> float:
    """Seconds of the interval inside business hours: day by day, hours cut to the interval."""
    total = 0.0
    day = begin.astimezone(RIYADH).date()
    while day <= end.astimezone(RIYADH).date():
        if day.weekday() in (6, 0, 1, 2, 3):
            opens = datetime.combine(day, time(9), RIYADH)
            closes = datetime.combine(day, time(18), RIYADH)
            total += max(0.0, (min(closes, end) - max(opens, begin)).total_seconds())
        day += timedelta(days=1)
    return total


def day_of(moment: datetime) -> str:
    return str(moment.astimezone(RIYADH).date())


def is_reply(event: Row) -> bool:
    return event.get("origin") in ("agent", "ai") and event["status"] != "failed"


def actor(event: Row) -> str | None:
    if event["origin"] == "ai":
        return event.get("ai_agent_id") or event.get("sender_user_id")
    return event.get("sender_user_id") if event["origin"] == "agent" else None
