"""The definitions of contract.md §5 once more, in plain Python and pandas: slow, and on its own.

Written from the contract's sentences, not from the SQL. Riyadh time, Sunday to Thursday nine to
six, a gap of 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from hatif.rate_card import Rate
from tests.marts.world import RIYADH

Row = dict[str, Any]
_GAP = timedelta(hours=24)


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


def in_sessions(messages: Iterable[Row], calls: Iterable[Row]) -> list[list[Row]]:
    """All events, a list a session, in order; each event knows its session's number."""
    conversations: dict[str, list[Row]] = {}
    for row in messages:
        event = {**row, "at": row["sent_at"], "tie": row["event_id"] or row["message_key"]}
        conversations.setdefault(row["conversation_id"], []).append(event)
    for row in calls:
        event = {**row, "at": row["started_at"], "tie": row["event_id"] or row["call_key"]}
        conversations.setdefault(row["conversation_id"], []).append(event)
    sessions = []
    for events in conversations.values():
        events.sort(key=lambda event: (event["at"], event["tie"]))
        number, last = 0, None
        for event in events:
            if last is None or event["at"] - last > _GAP:
                number += 1
                sessions.append([])
            sessions[-1].append({**event, "number": number})
            last = event["at"]
    return sessions


def turns(sessions: list[list[Row]]) -> pd.DataFrame:
    """A row for each customer turn, with its answer in the session, or its late one."""
    found: list[Row] = []
    by_conversation: dict[str, list[Row]] = {}
    for session in sessions:
        open_turn: Row | None = None
        for event in session:
            own = by_conversation.setdefault(event["conversation_id"], [])
            if event["direction"] == "inbound" and "message_key" in event:
                if open_turn is None:
                    open_turn = {
                        "conversation_id": event["conversation_id"],
                        "turn_number": len(own) + 1,
                        "session_number": event["number"],
                        "customer_messages": 0,
                        "begin": event["at"],
                        "answer": None,
                        "late": None,
                    }
                    own.append(open_turn)
                    found.append(open_turn)
                open_turn["customer_messages"] += 1
            elif "message_key" in event and is_reply(event):
                if open_turn is not None:
                    open_turn["answer"] = event
                    open_turn = None
                elif own and own[-1]["answer"] is None and own[-1]["late"] is None:
                    own[-1]["late"] = event
    rows = []
    for turn in found:
        answer, late = turn["answer"], turn["late"]
        first = answer or late
        rows.append(
            {
                "conversation_id": turn["conversation_id"],
                "turn_number": turn["turn_number"],
                "session_number": turn["session_number"],
                "customer_messages": turn["customer_messages"],
                "turn_started_at": turn["begin"],
                "response_seconds": _seconds(turn, answer),
                "response_business_seconds": _business(turn, answer),
                "responder_origin": answer and answer["origin"],
                "responder_user_id": answer and actor(answer),
                "late_response_seconds": _seconds(turn, late),
                "late_response_business_seconds": _business(turn, late),
                "response_seconds_any": _seconds(turn, first),
                "answered_on": first and day_of(first["at"]),
                "any_user_id": first and actor(first),
            }
        )
    return pd.DataFrame(rows)


def _seconds(turn: Row, answer: Row | None) -> float | None:
    return (answer["at"] - turn["begin"]).total_seconds() if answer else None


def _business(turn: Row, answer: Row | None) -> float | None:
    return business_seconds(turn["begin"], answer["at"]) if answer else None


def session_rows(sessions: list[list[Row]], of_turns: pd.DataFrame) -> pd.DataFrame:
    """A row for each session."""
    answers = dict(list(of_turns.groupby(["conversation_id", "session_number"])))
    rows = []
    for events in sessions:
        messages = [event for event in events if "message_key" in event]
        inbound = [event for event in messages if event["direction"] == "inbound"]
        calls = [event for event in events if "call_key" in event]
        replies = [
            event
            for event in messages
            if inbound
            and is_reply(event)
            and (event["at"], event["tie"]) > (inbound[0]["at"], inbound[0]["tie"])
        ]
        human = [event for event in replies if event["origin"] == "agent"]
        own = answers.get((events[0]["conversation_id"], events[0]["number"]))
        in_session = [] if own is None else own["response_seconds"].dropna().tolist()
        ever = [] if own is None else own["response_seconds_any"].dropna().tolist()
        rows.append(
            {
                "session_id": f"{events[0]['conversation_id']}:{events[0]['number']}",
                "channel_id": events[0]["channel_id"],
                "started_at": events[0]["at"],
                "ended_at": events[-1]["at"],
                "opened_by": events[0]["direction"],
                "inbound_messages": len(inbound),
                "outbound_messages": len(messages) - len(inbound),
                "calls": len(calls),
                "answered_calls": sum(call["is_completed"] is True for call in calls),
                "first_response_seconds": _between(inbound, replies),
                "first_response_business_seconds": business_seconds(
                    inbound[0]["at"], replies[0]["at"]
                )
                if replies
                else None,
                "first_responder": replies[0]["origin"] if replies else None,
                "first_responder_user_id": actor(replies[0]) if replies else None,
                "first_human_response_seconds": _between(inbound, human),
                "customer_turns": 0 if own is None else len(own),
                "answered_turns": len(in_session),
                "median_response_seconds": median(in_session) if in_session else None,
                "median_response_seconds_any": median(ever) if ever else None,
                "is_unanswered": own is not None
                and bool(pd.isna(own["response_seconds"].iloc[-1])),
                "charged_messages": sum(event["is_charged"] is True for event in messages),
            }
        )
    return pd.DataFrame(rows)


def _between(inbound: list[Row], replies: list[Row]) -> float | None:
    return (replies[0]["at"] - inbound[0]["at"]).total_seconds() if replies else None


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
    frame = frame.merge(
        priced[["message_key", "cost", "currency", "confidence"]], on="message_key", how="left"
    )
    frame.loc[frame["currency"].isna(), "cost"] = None
    keys = ["date", "channel_id", "direction", "message_type", "country", "currency"]
    rows = []
    for key, group in frame.groupby(keys, dropna=False):
        priced_here = not pd.isna(key[-1])
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "messages": len(group),
                "delivered": int(group["status"].isin(["delivered", "read"]).sum()),
                "failed": int((group["status"] == "failed").sum()),
                "billable_messages": sum(value is True for value in group["is_billable"]),
                "charged_messages": sum(value is True for value in group["is_charged"]),
                "unknown_messages": sum(value is None for value in group["is_charged"]),
                "estimated_cost": sum(group[group["confidence"] == "flagged"]["cost"])
                if priced_here
                else None,
                "unknown_cost": sum(group[group["confidence"] == "unknown"]["cost"])
                if priced_here
                else None,
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


def agents(messages: list[Row], calls: list[Row], of_turns: pd.DataFrame) -> pd.DataFrame:
    """What each user and AI agent did on each day."""
    work: dict[tuple[str, str], Row] = {}

    def of(day: str, user: str) -> Row:
        return work.setdefault(
            (day, user),
            {
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
                "turns_answered": len(entry["turns"]),
                "median_response_seconds": median(entry["turns"]) if entry["turns"] else None,
                "p90_response_seconds": np.quantile(entry["turns"], 0.9)
                if entry["turns"]
                else None,
                "median_response_seconds_any": median(entry["any"]) if entry["any"] else None,
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
        first = [
            session["first_response_seconds"]
            for session in entry["sessions"]
            if not pd.isna(session["first_response_seconds"])
        ]
        rows.append(
            {
                "date": day,
                "channel_id": channel,
                "sessions_started": len(entry["sessions"]),
                "inbound_messages": entry["inbound"],
                "outbound_messages": entry["outbound"],
                "contacts_active": len(entry["contacts"]),
                "median_first_response_seconds": median(first) if first else None,
                "unanswered_sessions": sum(
                    session["is_unanswered"] for session in entry["sessions"]
                ),
                "calls": entry["calls"],
                "missed_calls": entry["missed"],
            }
        )
    return pd.DataFrame(rows)


def waiting(messages: Iterable[Row]) -> pd.DataFrame:
    """Since when the customer of each conversation waits, were it open."""
    rows = []
    frame: dict[str, list[Row]] = {}
    for message in messages:
        if not message.get("deleted_at"):
            frame.setdefault(message["conversation_id"], []).append(message)
    for conversation, living in frame.items():
        living.sort(key=lambda m: (m["sent_at"], m["event_id"]))
        since = None
        for message in living:
            if message["direction"] == "inbound":
                since = since or message["sent_at"]
            elif is_reply(message):
                since = None
        inbound = [m["sent_at"] for m in living if m["direction"] == "inbound"]
        rows.append(
            {
                "conversation_id": conversation,
                "unanswered_since": since,
                "last_inbound_at": max(inbound, default=None),
            }
        )
    return pd.DataFrame(rows)
