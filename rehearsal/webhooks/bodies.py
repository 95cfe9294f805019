"""Deliveries as bytes: documented keys, live deviations, and the small differences between them.

Which delivery deviates how follows from what it tells, so that a body is the same each time.
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
from rehearsal.webhooks.tellings import (
    CallTelling,
    IvrTelling,
    MessageTelling,
    Telling,
    WorkspaceTelling,
    dice,
)
from rehearsal.world import World

_NOTHING = More()
_NEWER_SHAPE = int(datetime(2026, 7, 9, tzinfo=UTC).timestamp()) * SECOND
"""Since then calls come in an envelope, most of them."""


def body(world: World, telling: Telling) -> bytes:
    """The body of one delivery, the same bytes whenever it is asked for."""
    shape = _SHAPES[type(telling)](world, telling)
    rng = dice(world, telling.event, telling.kind)
    looks = rng.random()
    if looks < 0.1:
        shape = {key: value for key, value in shape.items() if value is not None}
    elif looks < 0.15:
        shape["campaignHint"] = {"source": None, "labels": ["عام"]}
    event_type = _event_type(world, telling)
    if event_type is not None:
        shape = {"data": shape, "eventType": event_type}
    if looks > 0.98:
        shape = pascal_keys(shape)
    if 0.85 < looks < 0.95:
        return json.dumps(shape, separators=(",", ":")).encode()
    return msgspec.json.encode(shape)


def _event_type(world: World, telling: Telling) -> str | None:
    """The name on the envelope, for what comes in one."""
    share = dice(world, telling.event, f"envelope {telling.kind}").random()
    match telling:
        case WorkspaceTelling():
            return telling.event_type
        case CallTelling():
            is_newer = telling.event.at >= _NEWER_SHAPE and share >= world.spec.habits.flat_calls
            return "CallStatusChanged" if is_newer else None
        case IvrTelling():
            return "OutboundIvrStatusChanged" if share < 0.2 else None
        case MessageTelling():
            return "MessageStatusChanged" if share < 0.02 else None


def _message(world: World, telling: MessageTelling) -> Json:
    event, more = telling.event, telling.event.more or _NOTHING
    code, reason = telling.error
    latitude, longitude = more.location[:2] if more.location else (None, None)
    return {
        **_place(world, telling),
        "conversationId": event.conversation.id,
        "contactId": event.conversation.contact.id,
        "conversationEventId": telling.event_id,
        "messageId": telling.wamid,
        "direction": codes.DIRECTION[event.direction],
        "messageType": telling.type,
        "body": telling.body,
        "mediaUrl": None if telling.is_edit else more.attachment,
        "mimeType": telling.mime,
        "status": telling.status,
        "senderUserId": telling.sender_id,
        "latitude": latitude,
        "longitude": longitude,
        "creationTime": time_text(telling.created),
        "isBillable": telling.is_billable,
        "errorCode": code,
        "errorReason": reason,
    }


def _call(world: World, telling: CallTelling) -> Json:
    event, handler = telling.event, telling.event.handler
    as_text = dice(world, event, "words").random() < world.spec.habits.words
    caller, callee, contact = telling.numbers
    is_ai = handler is not None and handler.is_ai
    rating, method, rated = telling.csat or (None, None, None)
    return {
        "callId": telling.call_id,
        **_place(world, telling),
        "status": on_wire(codes.CALL_STATUS, telling.status, as_text),
        "type": on_wire(codes.DIRECTION, event.direction, as_text),
        "callerNumber": caller,
        "calleeNumber": callee,
        "pickupTime": time_text(telling.picked_up),
        "hangupTime": time_text(telling.ended),
        "userId": handler.user_id if handler and not is_ai else None,
        "userName": event.handler_name,
        "contactId": telling.contact_id,
        "contactNumber": contact,
        "callLength": None if telling.length is None else timespan_text(telling.length),
        "aiAgentId": handler.user_id if handler and is_ai else None,
        "isAiCall": is_ai,
        "recordingUrl": telling.recording,
        "transcription": _transcription(telling.transcription),
        "summary": telling.summary,
        "sentiment": on_wire(codes.SENTIMENT, telling.sentiment, as_text),
        "evaluationCriteriaResult": None,
        "csatRating": rating,
        "csatMethod": method,
        "csatCollectedAt": time_text(rated),
        "creationTime": time_text(telling.created),
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


def _ivr(world: World, telling: IvrTelling) -> Json:
    as_number = telling.vocabulary == "numbers"
    status, result = telling.status, telling.result
    return {
        "id": telling.ivr_id,
        "externalId": telling.external_id,
        **_place(world, telling),
        "destinationNumber": telling.number,
        "status": codes.IVR_STATUS.index(status) if as_number else status,
        "result": codes.IVR_RESULT.index(result) if as_number and result else result,
        "pressedDigit": telling.digit,
        "initiatedAt": time_text(telling.initiated),
        "ringingAt": time_text(telling.ringing),
        "answeredAt": time_text(telling.answered),
        "completedAt": time_text(telling.completed),
        "callDurationSeconds": telling.seconds,
        "callId": telling.call_id,
        "errorMessage": telling.error,
        "hangupCause": telling.cause,
        "creationTime": time_text(telling.initiated),
    }


def _workspace(world: World, telling: WorkspaceTelling) -> Json:
    conversation = telling.event.conversation
    given = telling.event.more.assignation if telling.event.more else None
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
    del shape["id" if telling.event.id[-1] < "8" else "conversationId"]
    return shape


def _place(world: World, telling: Telling) -> Json:
    return {
        "workspaceId": world.workspace_id,
        "channelId": telling.event.conversation.channel.id,
    }


def time_text(instant: int | None) -> str | None:
    """An instant as webhooks write it: UTC, a fraction only where there is one."""
    return None if instant is None else aware(instant).isoformat().replace("+00:00", "Z")


_SHAPES: dict[type, Callable[[World, Any], Json]] = {
    MessageTelling: _message,
    CallTelling: _call,
    IvrTelling: _ivr,
    WorkspaceTelling: _workspace,
}
