"""Deliveries as bytes: documented keys, live deviations, and the small differences between them.

How a delivery deviates follows from its notice, so that a body is the same each time.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from rehearsal import codes
from rehearsal.codes import on_wire
from rehearsal.ids import SECOND, aware, timespan_text
from rehearsal.model import More
from rehearsal.render import pascal_keys
from rehearsal.style import Json
from rehearsal.webhooks.notices import (
    CallNotice,
    IvrNotice,
    MessageNotice,
    Notice,
    WorkspaceNotice,
    dice,
)
from rehearsal.world import World

_NOTHING = More()
_NEWER_SHAPE = int(datetime(2026, 7, 9, tzinfo=UTC).timestamp()) * SECOND
"""Since then calls come in an envelope, most of them."""


def body(world: World, notice: Notice) -> bytes:
    """The body of one delivery, the same bytes at every call."""
    shape = _SHAPES[type(notice)](world, notice)
    rng = dice(world, notice.event, notice.kind)
    looks = rng.random()
    if looks < 0.1:
        shape = {key: value for key, value in shape.items() if value is not None}
    elif looks < 0.15:
        shape["campaignHint"] = {"source": None, "labels": ["عام"]}
    event_type = _event_type(world, notice)
    if event_type is not None:
        shape = {"data": shape, "eventType": event_type}
    if looks > 0.98:
        shape = pascal_keys(shape)
    if 0.85 < looks < 0.95:
        return json.dumps(shape, separators=(",", ":")).encode()
    return msgspec.json.encode(shape)


def _event_type(world: World, notice: Notice) -> str | None:
    """The name on the envelope, for what comes in one."""
    share = dice(world, notice.event, f"envelope {notice.kind}").random()
    match notice:
        case WorkspaceNotice():
            return notice.event_type
        case CallNotice():
            is_newer = notice.event.at >= _NEWER_SHAPE and share >= world.spec.habits.flat_calls
            return "CallStatusChanged" if is_newer else None
        case IvrNotice():
            return "OutboundIvrStatusChanged" if share < 0.2 else None
        case MessageNotice():
            return "MessageStatusChanged" if share < 0.02 else None


def _message(world: World, notice: MessageNotice) -> Json:
    event, more = notice.event, notice.event.more or _NOTHING
    code, reason = notice.error
    latitude, longitude = more.location[:2] if more.location else (None, None)
    return {
        **_place(world, notice),
        "conversationId": event.conversation.id,
        "contactId": event.conversation.contact.id,
        "conversationEventId": notice.event_id,
        "messageId": notice.wamid,
        "direction": codes.DIRECTION[event.direction],
        "messageType": notice.type,
        "body": notice.body,
        "mediaUrl": None if notice.is_edit else more.attachment,
        "mimeType": notice.mime,
        "status": notice.status,
        "senderUserId": notice.sender_id,
        "latitude": latitude,
        "longitude": longitude,
        "creationTime": time_text(notice.created),
        "isBillable": notice.is_billable,
        "errorCode": code,
        "errorReason": reason,
    }


def _call(world: World, notice: CallNotice) -> Json:
    event, handler = notice.event, notice.event.handler
    as_text = dice(world, event, "words").random() < world.spec.habits.words
    caller, callee, contact = notice.numbers
    is_ai = handler is not None and handler.is_ai
    rating, method, rated = notice.csat or (None, None, None)
    return {
        "callId": notice.call_id,
        **_place(world, notice),
        "status": on_wire(codes.CALL_STATUS, notice.status, as_text),
        "type": on_wire(codes.DIRECTION, event.direction, as_text),
        "callerNumber": caller,
        "calleeNumber": callee,
        "pickupTime": time_text(notice.picked_up),
        "hangupTime": time_text(notice.ended),
        "userId": handler.user_id if handler and not is_ai else None,
        "userName": event.handler_name,
        "contactId": notice.contact_id,
        "contactNumber": contact,
        "callLength": None if notice.length is None else timespan_text(notice.length),
        "aiAgentId": handler.user_id if handler and is_ai else None,
        "isAiCall": is_ai,
        "recordingUrl": notice.recording,
        "transcription": _transcription(notice.transcription),
        "summary": notice.summary,
        "sentiment": on_wire(codes.SENTIMENT, notice.sentiment, as_text),
        "evaluationCriteriaResult": None,
        "csatRating": rating,
        "csatMethod": method,
        "csatCollectedAt": time_text(rated),
        "creationTime": time_text(notice.created),
    }


def _transcription(text: str | None) -> Json | None:
    """The text and its words: who spoke when, in no promised order."""
    if text is None:
        return None
    words = [
        {
            "text": word,
            "start": number * 0.4,
            "end": number * 0.4 + 0.3,
            "type": "word",
            "speaker": f"ch_{number % 2}",
        }
        for number, word in enumerate(text.split())
    ]
    return {"text": text, "words": words[::-1]}


def _ivr(world: World, notice: IvrNotice) -> Json:
    as_number = notice.vocabulary == "numbers"
    status, result = notice.status, notice.result
    return {
        "id": notice.ivr_id,
        "externalId": notice.external_id,
        **_place(world, notice),
        "destinationNumber": notice.number,
        "status": codes.IVR_STATUS.index(status) if as_number else status,
        "result": codes.IVR_RESULT.index(result) if as_number and result else result,
        "pressedDigit": notice.digit,
        "initiatedAt": time_text(notice.initiated),
        "ringingAt": time_text(notice.ringing),
        "answeredAt": time_text(notice.answered),
        "completedAt": time_text(notice.completed),
        "callDurationSeconds": notice.seconds,
        "callId": notice.call_id,
        "errorMessage": notice.error,
        "hangupCause": notice.cause,
        "creationTime": time_text(notice.initiated),
    }


def _workspace(world: World, notice: WorkspaceNotice) -> Json:
    conversation = notice.event.conversation
    given = notice.event.more.assignation if notice.event.more else None
    target = given.to if given else None
    shape: Json = {
        "id": conversation.id,
        "conversationId": conversation.id,
        "contactId": conversation.contact.id,
        "assignedUserId": target.user_id if target and not target.is_ai else None,
        "assignedTeamId": None,
        "status": 1,
        "workspaceId": world.workspace_id,
    }
    del shape["id" if notice.event.id[-1] < "8" else "conversationId"]
    return shape


def _place(world: World, notice: Notice) -> Json:
    return {
        "workspaceId": world.workspace_id,
        "channelId": notice.event.conversation.channel.id,
    }


def time_text(instant: int | None) -> str | None:
    """An instant as webhooks write it: UTC, a fraction only where there is one."""
    return None if instant is None else aware(instant).isoformat().replace("+00:00", "Z")


_SHAPES: dict[type, Callable[[World, Any], Json]] = {
    MessageNotice: _message,
    CallNotice: _call,
    IvrNotice: _ivr,
    WorkspaceNotice: _workspace,
}
