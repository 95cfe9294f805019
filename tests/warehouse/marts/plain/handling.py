"""Who handled a session, what followed a missed call, and where messages and calls belong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pandas as pd

from tests.warehouse.marts.plain.common import Row, actor, day_of, is_reply
from tests.warehouse.marts.world import RIYADH


def _handler(event: Row) -> str | None:
    if "message_key" in event:
        return event["origin"] if is_reply(event) else None
    if event["is_completed"] is not True:
        return None
    return "ai" if event["is_ai_call"] else "agent"


def of_sessions(sessions: list[list[Row]], of_sessions: pd.DataFrame) -> pd.DataFrame:
    """Hand-over, resolution by AI and reopening of each session."""
    known = of_sessions.set_index("session_id").to_dict("index")
    by_conversation: dict[str, list[list[Row]]] = {}
    for session in sessions:
        by_conversation.setdefault(session[0]["conversation_id"], []).append(session)
    rows = []
    for conversation, own in by_conversation.items():
        for place, events in enumerate(own):
            handlers = [_handler(event) for event in events]
            after_ai = handlers.index("ai") if "ai" in handlers else len(handlers)
            people = [
                event["at"]
                for event, handler in zip(events, handlers, strict=True)
                if handler == "agent"
            ]
            handed = [
                event["at"]
                for event, handler in zip(events[after_ai:], handlers[after_ai:], strict=True)
                if handler == "agent"
            ]
            end = events[-1]["at"]
            later = [e["at"] for s in own[place + 1 :] for e in s if _handler(e) == "agent"]
            facts = known[f"{conversation}:{events[0]['number']}"]
            following = own[place + 1][0] if place + 1 < len(own) else None
            came_back = (
                following is not None
                and following["direction"] == "inbound"
                and following["at"] - end <= timedelta(hours=72)
            )
            rows.append(
                {
                    "session_id": f"{conversation}:{events[0]['number']}",
                    "handed_over_at": min(handed, default=None),
                    "is_resolved_by_ai": "ai" in handlers
                    and facts["answered_turns"] > 0
                    and not facts["is_unanswered"]
                    and not people
                    and all(at - end > timedelta(hours=24) for at in later),
                    "reopened_at": following["at"] if following and came_back else None,
                }
            )
    return pd.DataFrame(rows)


def placed(
    events: Iterable[Row], sessions: list[list[Row]], key: str, time: str, word: str
) -> pd.DataFrame:
    """Messages or calls, each with its session, local day and hour, and whose it is."""
    session_of = {
        event[key]: f"{event['conversation_id']}:{event['number']}"
        for session in sessions
        for event in session
        if key in event
    }
    rows = []
    for event in events:
        local = event[time].astimezone(RIYADH)
        user = actor(event) if key == "message_key" else event["user_id"]
        rows.append(
            {
                key: event[key],
                "session_id": session_of[event[key]],
                f"{word}_on": day_of(event[time]),
                f"{word}_hour": local.hour,
                "user_id": user,
                "contact_id": event["contact_id"],
            }
        )
    return pd.DataFrame(rows)


def missed_calls(calls: list[Row], messages: list[Row]) -> pd.DataFrame:
    """What followed each missed call with its contact."""
    rows = []
    for call in calls:
        if call["direction"] != "inbound" or call["is_completed"] is not False:
            continue
        begin, contact = call["started_at"], call["contact_id"]
        after = [c for c in calls if c["contact_id"] == contact and c["started_at"] > begin]
        back = [c["started_at"] for c in after if c["direction"] == "outbound"]
        reached = [c["started_at"] for c in after if c["is_completed"] is True]
        written = [
            m["sent_at"]
            for m in messages
            if m["contact_id"] == contact and m["sent_at"] > begin and is_reply(m)
        ]
        rows.append(
            {
                "call_key": call["call_key"],
                "called_back_at": min(back, default=None),
                "called_back_seconds": (min(back) - begin).total_seconds() if back else None,
                "reached_at": min(reached, default=None),
                "written_to_at": min(written, default=None),
                "followed_up_at": min([*back, *reached, *written], default=None),
            }
        )
    return pd.DataFrame(rows)
