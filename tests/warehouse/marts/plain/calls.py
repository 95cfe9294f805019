"""Calls by day, and their service levels under each formula's name."""

from __future__ import annotations

import pandas as pd

from tests.warehouse.marts.plain.common import Row, day_of

_SHORT = 5


def by_day(calls: list[Row]) -> pd.DataFrame:
    """Calls by day, channel and direction."""
    rows = []
    for key, group in _frame(calls).groupby(["date", "channel_id", "direction"]):
        completed = [done is True for done in group["is_completed"]]
        ended_without = [done is False for done in group["is_completed"]]
        rows.append(
            {
                **dict(zip(["date", "channel_id", "direction"], key, strict=True)),
                "calls": len(group),
                "answered": sum(completed),
                "picked_up": sum(up is True for up in group["is_answered"]),
                "missed": sum(ended_without) if key[-1] == "inbound" else 0,
                "answer_rate": sum(completed) / len(group),
                "total_seconds": group["duration_seconds"].dropna().sum(),
                "median_ringing_seconds": group["ringing_seconds"].dropna().median(),
            }
        )
    return pd.DataFrame(rows)


def service_levels(calls: list[Row]) -> pd.DataFrame:
    """Every formula and threshold of each day and channel with an inbound call."""
    frame = _frame([call for call in calls if call["direction"] == "inbound"])
    rows = []
    for (day, channel), group in frame.groupby(["date", "channel_id"]):
        over = group[~group["status"].isin(["ringing", "active"])]
        known = over[over["is_answered"].notna()]
        waits = {
            picked_up: known[known["is_answered"] == picked_up]["ringing_seconds"].tolist()
            for picked_up in (True, False)
        }
        for threshold in (10, 20, 30, 60):
            for formula, (served, of) in _formulas(waits[True], waits[False], threshold).items():
                rows.append(
                    {
                        "date": day,
                        "channel_id": channel,
                        "formula": formula,
                        "threshold_seconds": threshold,
                        "numerator": served,
                        "denominator": of,
                        "value": served / of if of else None,
                        "unknown_calls": len(group) - len(known),
                    }
                )
    return pd.DataFrame(rows)


def _formulas(
    answered: list[float], abandoned: list[float], threshold: int
) -> dict[str, tuple[int, int]]:
    """Numerator and denominator by name, from how long calls of either kind rang."""
    in_time = sum(wait <= threshold for wait in answered)
    offered = len(answered) + len(abandoned)
    short = sum(wait <= _SHORT for wait in abandoned)
    early = sum(wait <= threshold for wait in abandoned)
    return {
        "all_in_time": (in_time + early, offered),
        "answered_only": (in_time, len(answered)),
        "answered_and_abandoned": (in_time, offered),
        "late_abandons_only": (in_time, len(answered) + len(abandoned) - early),
        "short_abandons_removed": (in_time, offered - short),
        "short_abandons_as_success": (in_time + short, offered),
        "abandons_removed": (in_time, len(answered)),
    }


def _frame(calls: list[Row]) -> pd.DataFrame:
    flags = {
        name: pd.Series([call[name] for call in calls], dtype=object)
        for name in ("is_completed", "is_answered")
    }
    texts = {
        name: [call[name] for call in calls]
        for name in ("channel_id", "direction", "status", "ringing_seconds", "duration_seconds")
    }
    return pd.DataFrame({**texts, **flags, "date": [day_of(call["started_at"]) for call in calls]})
