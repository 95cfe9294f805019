"""What ``core`` must hold right now of conversations and their timelines; see truth.py."""

from collections.abc import Iterator
from typing import Any

from rehearsal import codes
from rehearsal.codes import canonical, canonical_status
from rehearsal.ids import SECOND, aware, guid_instant
from rehearsal.model import Event, More
from rehearsal.spec import Quirks
from rehearsal.world import World

Row = dict[str, Any]

_NOTHING = More()


def conversations(world: World, _: Quirks) -> Iterator[Row]:
    """Rows of ``core.conversations``."""
    for talk in world.conversations.values():
        assignee, last = talk.assignee, talk.events[-1] if talk.events else None
        is_ai = assignee is not None and assignee.is_ai
        yield {
            "conversation_id": talk.id,
            "channel_id": talk.channel.id,
            "contact_id": talk.contact.id,
            "status": canonical(codes.CONVERSATION_STATUS, talk.status),
            "sentiment": canonical(codes.SENTIMENT, talk.sentiment),
            "created_at": aware(guid_instant(talk.id)),
            "last_activity_at": aware(talk.active),
            "assignee_user_id": assignee.user_id if assignee and not is_ai else None,
            "assigned_ai_agent_id": assignee.user_id if assignee and is_ai else None,
            "is_ai_assignee": is_ai,
            "assignee_name": assignee.name if assignee else None,
            "last_event_source": canonical(codes.SOURCE, last.source) if last else None,
            "last_event_direction": canonical(codes.DIRECTION, last.direction) if last else None,
            "last_event_status": canonical_status(last.status) if last else None,
            "last_event_at": aware(last.at) if last else None,
            "event_count": len(talk.events),
            "unread_count": 0,
        }


def conversation_tags(world: World, _: Quirks) -> Iterator[Row]:
    """Rows of ``core.conversation_tags``."""
    for talk in world.conversations.values():
        for tag in talk.tags:
            yield {"conversation_id": talk.id, "tag_id": tag.id}


def timeline_events(world: World, _: Quirks) -> Iterator[Row]:
    """Rows of ``core.timeline_events``."""
    for talk in world.conversations.values():
        for event in talk.events:
            yield {**_event(event), **_event_parts(event.more or _NOTHING)}


def _event(event: Event) -> Row:
    handler = event.handler
    is_ai = handler is not None and handler.is_ai
    return {
        "event_id": event.id,
        "conversation_id": event.conversation.id,
        "contact_id": event.conversation.contact.id,
        "channel_id": event.conversation.channel.id,
        "source": canonical(codes.SOURCE, event.source),
        "source_id": event.source_id,
        "direction": canonical(codes.DIRECTION, event.direction),
        "occurred_at": aware(event.at),
        "status": canonical_status(event.status),
        "is_ai": is_ai,
        "owner_user_id": handler.user_id if handler and not is_ai else None,
        "ai_agent_id": handler.user_id if handler and is_ai else None,
        "handler_name": event.handler_name,
        "body": event.body,
    }


def error(code: int | str | None, reason: str | None) -> tuple[int | None, str | None]:
    """An error code as a number; one that is no number goes to the reason."""
    if code is None or (isinstance(code, str) and not code.isdecimal()):
        return None, reason or code
    return int(code), reason


def _event_parts(more: More) -> Row:
    number, reason = error(more.error_code, more.failure_reason)
    thread_id, is_resolved, count = more.thread or (None, None, None)
    latitude, longitude, name, address = more.location or (None, None, None, None)
    target, by = more.assignation or (None, None)
    return {
        "error_code": number,
        "failure_reason": reason,
        "attachment_url": more.attachment,
        "duration_seconds": None if more.duration is None else more.duration / SECOND,
        "media_size": more.media_size,
        "ringing_seconds": None if more.ringing is None else more.ringing / SECOND,
        "ai_summary": more.summary,
        "ai_transcription": more.transcription,
        "reply_to_event_id": more.reply_to[0] if more.reply_to else None,
        "thread_id": thread_id,
        "thread_is_resolved": is_resolved,
        "thread_message_count": count,
        "latitude": latitude,
        "longitude": longitude,
        "location_name": name,
        "location_address": address,
        "assigned_user_id": target.user_id if target and not target.is_ai else None,
        "assigned_ai_agent_id": target.user_id if target and target.is_ai else None,
        "assigned_by_user_id": by.user_id if by else None,
    }


def assignments(world: World, _: Quirks) -> Iterator[Row]:
    """Rows of ``core.assignments``."""
    for talk in world.conversations.values():
        for event in talk.events:
            if event.source == 3:
                parts = _event_parts(event.more or _NOTHING)
                yield {
                    "event_id": event.id,
                    "conversation_id": talk.id,
                    "assigned_at": aware(event.at),
                    "assigned_user_id": parts["assigned_user_id"],
                    "assigned_ai_agent_id": parts["assigned_ai_agent_id"],
                    "assigned_by_user_id": parts["assigned_by_user_id"],
                }
