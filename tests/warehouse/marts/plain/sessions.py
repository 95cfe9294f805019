"""Sessions, turns, and who waits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from statistics import median

import pandas as pd

from tests.warehouse.marts.plain.common import Row, actor, business_seconds, day_of, is_reply

_GAP = timedelta(hours=24)


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
                "contact_id": events[0]["contact_id"],
                "started_at": events[0]["at"],
                "ended_at": events[-1]["at"],
                "opened_by": events[0]["direction"],
                "inbound_messages": len(inbound),
                "outbound_messages": len(messages) - len(inbound),
                "calls": len(calls),
                "answered_calls": sum(call["is_completed"] is True for call in calls),
                "first_response_seconds": _between(inbound, replies),
                "first_response_seconds_any": None
                if own is None
                else own["response_seconds_any"].iloc[0],
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
