"""What agents did, and what happened on channels, day by day."""

from __future__ import annotations

from statistics import median

import numpy as np
import pandas as pd

from tests.warehouse.marts.plain.common import Row, actor, day_of


def agents(messages: list[Row], calls: list[Row], of_turns: pd.DataFrame) -> pd.DataFrame:
    """What each user and AI agent did on each day."""
    work: dict[tuple[str, str], Row] = {}

    def of(day: str, user: str) -> Row:
        return work.setdefault(
            (day, user),
            {
                "is_ai": False,
                "messages_sent": 0,
                "handled": set(),
                "calls_answered": 0,
                "call_seconds": 0.0,
                "turns": [],
                "any": [],
            },
        )

    for message in messages:
        user = actor(message)
        if user and message["direction"] == "outbound" and message["status"] != "failed":
            entry = of(day_of(message["sent_at"]), user)
            entry["messages_sent"] += 1
            entry["is_ai"] |= message["origin"] == "ai"
            entry["handled"].add(message["conversation_id"])
    for call in calls:
        if call["is_completed"]:
            entry = of(day_of(call["started_at"]), call["user_id"])
            entry["calls_answered"] += 1
            entry["call_seconds"] += call["duration_seconds"]
            entry["handled"].add(call["conversation_id"])
    for turn in of_turns.to_dict("records"):
        if not pd.isna(turn["any_user_id"]):
            entry = of(turn["answered_on"], turn["any_user_id"])
            entry["any"].append(turn["response_seconds_any"])
            if not pd.isna(turn["response_seconds"]):
                entry["turns"].append(turn["response_seconds"])
    return pd.DataFrame(
        [
            {
                "date": day,
                "user_id": user,
                "messages_sent": entry["messages_sent"],
                "conversations_handled": len(entry["handled"]),
                "is_ai_agent": entry["is_ai"],
                "turns_answered": len(entry["turns"]),
                "turns_answered_any": len(entry["any"]),
                "median_response_seconds": median(entry["turns"]) if entry["turns"] else None,
                "p90_response_seconds": np.quantile(entry["turns"], 0.9)
                if entry["turns"]
                else None,
                "median_response_seconds_any": median(entry["any"]) if entry["any"] else None,
                "p90_response_seconds_any": np.quantile(entry["any"], 0.9)
                if entry["any"]
                else None,
                "calls_answered": entry["calls_answered"],
                "call_seconds": entry["call_seconds"],
            }
            for (day, user), entry in work.items()
        ]
    )


def channels(messages: list[Row], calls: list[Row], sessions: pd.DataFrame) -> pd.DataFrame:
    """What happened on each channel on each day."""
    found: dict[tuple[str, str], Row] = {}

    def of(day: str, channel: str) -> Row:
        return found.setdefault(
            (day, channel),
            {
                "inbound": 0,
                "outbound": 0,
                "contacts": set(),
                "calls": 0,
                "missed": 0,
                "sessions": [],
            },
        )

    for message in messages:
        entry = of(day_of(message["sent_at"]), message["channel_id"])
        entry[message["direction"]] += 1
        if message["direction"] == "inbound":
            entry["contacts"].add(message["contact_id"])
    for call in calls:
        entry = of(day_of(call["started_at"]), call["channel_id"])
        entry["calls"] += 1
        if call["direction"] == "inbound":
            entry["contacts"].add(call["contact_id"])
            entry["missed"] += call["is_completed"] is False
    for session in sessions.to_dict("records"):
        of(day_of(session["started_at"]), session["channel_id"])["sessions"].append(session)
    rows = []
    for (day, channel), entry in found.items():
        first, ever = (
            [session[name] for session in entry["sessions"] if not pd.isna(session[name])]
            for name in ("first_response_seconds", "first_response_seconds_any")
        )
        rows.append(
            {
                "date": day,
                "channel_id": channel,
                "sessions_started": len(entry["sessions"]),
                "inbound_messages": entry["inbound"],
                "outbound_messages": entry["outbound"],
                "contacts_active": len(entry["contacts"]),
                "median_first_response_seconds": median(first) if first else None,
                "median_first_response_seconds_any": median(ever) if ever else None,
                "unanswered_sessions": sum(
                    session["is_unanswered"] for session in entry["sessions"]
                ),
                "calls": entry["calls"],
                "missed_calls": entry["missed"],
            }
        )
    return pd.DataFrame(rows)
