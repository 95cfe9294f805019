"""Shapes of version 2: conversations and what is on their timelines."""

from rehearsal import codes
from rehearsal.codes import on_wire
from rehearsal.ids import timespan_text, zulu_text
from rehearsal.model import Assignation, Conversation, Event, More
from rehearsal.style import Json, Style

_NOTHING = More()
_NO_PARTS: Json = dict.fromkeys(
    ("aiSummary", "replyTo", "internalThread", "location", "assignation")
)


def conversation(style: Style, conversation: Conversation) -> Json:
    """An item of a channel's conversation list."""
    last = conversation.events[-1] if conversation.events else None
    return {
        **_conversation_core(conversation, style.text_enums),
        "lastEventSourceType": style.code(codes.SOURCE, last.source) if last else None,
        "lastEventDirection": style.code(codes.DIRECTION, last.direction) if last else None,
        "lastEventStatus": last.status if last else None,
        "lastEventPreviewBody": last.body[:80] if last and last.body else None,
        "lastEventOccurredAt": zulu_text(last.at) if last else None,
        "lastEventsCount": len(conversation.events),
    }


def single_conversation(conversation: Conversation) -> Json:
    """One conversation on its own: enumerations as names, no ``lastEvent`` keys."""
    return _conversation_core(conversation, as_text=True)


def _conversation_core(conversation: Conversation, as_text: bool) -> Json:
    contact, channel = conversation.contact, conversation.channel
    assignee = conversation.assignee
    is_ai = assignee is not None and assignee.is_ai
    assignee_id = assignee.user_id if assignee else None
    return {
        "id": conversation.id,
        "sentiment": on_wire(codes.SENTIMENT, conversation.sentiment, as_text),
        "status": on_wire(codes.CONVERSATION_STATUS, conversation.status, as_text),
        "lastActivityAt": zulu_text(conversation.active),
        "contactId": contact.id,
        "contactName": contact.name,
        "contactType": on_wire(codes.CONTACT_TYPE, contact.type, as_text),
        "phoneNumber": contact.phone.text if contact.phone else None,
        "channelId": channel.id,
        "assigneeId": None if is_ai else assignee_id,
        "assignedAiAgentId": assignee_id if is_ai else None,
        "isAiAssignee": is_ai,
        "assigneeName": assignee.name if assignee else None,
        "channel": {
            "id": channel.id,
            "name": channel.name,
            "type": on_wire(codes.CHANNEL_TYPE, channel.type, as_text),
            "icon": "headset",
            "phoneNumber": channel.number,
        },
        "tags": [{"id": tag.id, "name": tag.name} for tag in conversation.tags],
        "unreadCount": 0,
    }


def event(style: Style, event: Event) -> Json:
    """An item of a timeline."""
    more = event.more or _NOTHING
    handler = event.handler
    is_ai = handler is not None and handler.is_ai
    handler_id = handler.user_id if handler else None
    return {
        "eventId": event.id,
        "conversationId": event.conversation.id,
        "contactId": event.conversation.contact.id,
        "channelId": event.conversation.channel.id,
        "sourceType": style.code(codes.SOURCE, event.source),
        "sourceId": event.source_id,
        "direction": style.code(codes.DIRECTION, event.direction),
        "creationTime": zulu_text(event.at),
        "status": event.status,
        "errorCode": more.error_code,
        "failureReason": more.failure_reason,
        "isAi": is_ai,
        "attachment": more.attachment,
        "ownerUserId": None if is_ai else handler_id,
        "aiAgentId": handler_id if is_ai else None,
        "durationOrSize": more.media_size
        if more.duration is None
        else timespan_text(more.duration),
        "ringingDuration": None if more.ringing is None else timespan_text(more.ringing),
        "body": event.body,
        "handlerName": event.handler_name,
        **(_parts(more) if event.more else _NO_PARTS),
    }


def _parts(more: More) -> Json:
    """The nested objects that only some events have."""
    parts = dict(_NO_PARTS)
    if more.summary is not None or more.transcription is not None:
        parts["aiSummary"] = {"summary": more.summary, "transcription": more.transcription}
    if more.reply_to is not None:
        event_id, body = more.reply_to
        parts["replyTo"] = {"repliedToEventId": event_id, "repliedToBody": body}
    if more.thread is not None:
        thread_id, is_resolved, count = more.thread
        parts["internalThread"] = {
            "id": thread_id,
            "isResolved": is_resolved,
            "messageCount": count,
        }
    if more.location is not None:
        latitude, longitude, name, address = more.location
        parts["location"] = {
            "latitude": latitude,
            "longitude": longitude,
            "name": name,
            "address": address,
        }
    if more.assignation is not None:
        parts["assignation"] = _assignation(more.assignation)
    return parts


def _assignation(assignation: Assignation) -> Json:
    target, by = assignation
    is_ai = target is not None and target.is_ai
    name = target.name if target else None
    target_id = target.user_id if target else None
    return {
        "assignedUserId": None if is_ai else target_id,
        "assignedUserName": None if is_ai else name,
        "assignedAiAgentId": target_id if is_ai else None,
        "assignedAiAgentName": name if is_ai else None,
        "assignedByUserId": by.user_id if by else None,
        "assignedByUserName": by.name if by else None,
    }
