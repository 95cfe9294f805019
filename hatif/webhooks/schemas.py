"""The keys of the four kinds of events, what may stand under each, and the ids they are stored by.

Enumerations come as numbers or words and are not checked here: a code never seen before is kept.
What is checked is that text is text, a time a time and a flag a flag, so that nothing is lost on
the way into typed columns; `hatif.webhooks.values` reads what comes in another form. Unknown keys
are allowed; they stay in the raw body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.wire import Spelling

Text = str | None
# No column takes more digits.
Code = str | Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)] | None
Number = float | None
#: A duration, as the store's `timespan_seconds` macro reads it: a .NET TimeSpan, mm:ss, seconds, or
#: ISO 8601.
DURATION = (
    r"(?i)^(?:-?(?:[0-9]{1,8}\.)?[0-9]{1,8}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,30})?"
    r"|[0-9]{1,4}:[0-9]{2}(?:\.[0-9]{1,30})?|[0-9]{1,9}(?:\.[0-9]{1,30})?"
    r"|P(?=.*[0-9])(?:[0-9]{1,6}D)?"
    r"(?:T(?:[0-9]{1,8}H)?(?:[0-9]{1,8}M)?(?:[0-9]{1,9}(?:\.[0-9]{1,30})?S)?)?)\Z"
)
Duration = float | Annotated[str, msgspec.Meta(pattern=DURATION)] | None
Flag = bool | None
# An instant as every reader of the store takes it; whether its day exists is looked up apart. The
# years are those that the store keeps; .NET writes the first or the last where it has no instant.
Instant = (
    Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[T ]"
            r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
            r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?\Z"
        ),
    ]
    | None
)
# Phone numbers come as text, digits or an object; a transcription as an object or bare text.
Phone = str | int | dict[str, msgspec.Raw] | None
Nested = str | dict[str, msgspec.Raw] | None


class Message(msgspec.Struct, rename="camel", gc=False):
    """A WhatsApp message in one of its states."""

    channel_id: Text = None
    conversation_id: Text = None
    conversation_event_id: Text = None
    message_id: Text = None
    contact_id: Text = None
    workspace_id: Text = None
    sender_user_id: Text = None
    direction: Code = None
    message_type: Code = None
    status: Code = None
    body: Text = None
    media_url: Text = None
    mime_type: Text = None
    latitude: Number = None
    longitude: Number = None
    creation_time: Instant = None
    is_billable: Flag = None
    error_code: Code = None
    error_reason: Text = None


class Call(msgspec.Struct, rename="camel", gc=False):
    """A phone call in one of its states, or sent again with its recording, summary or rating."""

    call_id: Text = None
    channel_id: Text = None
    workspace_id: Text = None
    contact_id: Text = None
    conversation_id: Text = None
    user_id: Text = None
    ai_agent_id: Text = None
    status: Code = None
    type: Code = None
    sentiment: Code = None
    caller_number: Phone = None
    callee_number: Phone = None
    contact_number: Phone = None
    user_name: Text = None
    pickup_time: Instant = None
    hangup_time: Instant = None
    creation_time: Instant = None
    call_length: Duration = None
    recording_url: Text = None
    transcription: Nested = None
    summary: Text = None
    evaluation_criteria_result: msgspec.Raw = msgspec.Raw(b"null")
    csat_rating: Number = None
    csat_method: Code = None
    csat_collected_at: Instant = None
    is_ai_call: Flag = None


class IvrCall(msgspec.Struct, rename="camel", gc=False):
    """An automated outbound call that requests a digit."""

    id: Text = None
    channel_id: Text = None
    external_id: Text = None
    workspace_id: Text = None
    call_id: Text = None
    destination_number: Phone = None
    status: Code = None
    result: Code = None
    pressed_digit: Code = None
    initiated_at: Instant = None
    ringing_at: Instant = None
    answered_at: Instant = None
    completed_at: Instant = None
    call_duration_seconds: Number = None
    error_message: Text = None
    hangup_cause: Code = None
    creation_time: Instant = None


class WorkspaceEvent(msgspec.Struct, rename="camel", gc=False):
    """A change of a conversation; only the API has the details."""

    event_type: Code = None
    conversation_id: Text = None
    id: Text = None
    channel_id: Text = None
    workspace_id: Text = None
    contact_id: Text = None


SHAPES: dict[str, type[msgspec.Struct]] = {
    "message": Message,
    "ivr": IvrCall,
    "call": Call,
    "workspace": WorkspaceEvent,
}
# Inside transcriptions and evaluations; names of the pressed digit seen instead of the documented.
_NESTED = {
    "text words start end type speaker role",
    "id dataType description value rationale number",
    "selectedDigit digit selectedOption assignedUserId assignedTeamId lastModificationTime data",
}


def keys_of(shape: type[msgspec.Struct]) -> list[str]:
    """Return the keys of a shape as they are sent."""
    return [field.encode_name for field in msgspec.structs.fields(shape)]


KEYS = frozenset(
    {key for shape in SHAPES.values() for key in keys_of(shape)}
    | {key for line in _NESTED for key in line.split()}
)
#: Canonical spelling of keys: camelCase, whatever casing or underscores they arrive with.
SPELLING = Spelling(KEYS)
FOLDED = frozenset(map(fold, KEYS))


#: The key that makes an object an event of a kind, in the order in which they are looked for.
MARKS = (("messageType", "message"), ("destinationNumber", "ivr"), ("callId", "call"))
# Keys that make an object with a `messageType` of null a message all the same, and one with a
# `destinationNumber` of null an IVR call, which may name the call that it led to.
_OF_MESSAGES = ("conversationEventId", "messageId")
_OF_IVR_CALLS = ("externalId", "result", "pressedDigit", "initiatedAt", "hangupCause")


def kind_of_keys(keys: Any) -> str | None:
    """Return the kind of event that has these keys, in canonical spelling; None = none of ours.

    Args:
        keys: anything that answers ``in``.
    """
    for mark, kind in MARKS:
        if mark in keys:
            return kind
    if "eventType" in keys or "conversationId" in keys:
        return "workspace"
    return None


def marked_kind(record: dict[str, Any]) -> str | None:
    """Return the kind of an object that is a message or a call; None where it is neither.

    A key whose value is null is as good as none, except of what is a message or an IVR call by keys
    that no other kind has.
    """
    is_ivr = "destinationNumber" in record and _has_any(record, _OF_IVR_CALLS)
    for mark, kind in MARKS:
        if record.get(mark) is not None or (is_ivr and kind == "ivr"):
            return kind
    if "messageType" in record and _has_any(record, _OF_MESSAGES):
        return "message"
    return None


def _has_any(record: dict[str, Any], keys: tuple[str, ...]) -> bool:
    return any(record.get(key) is not None for key in keys)


def kind_of(record: dict[str, Any]) -> str | None:
    """Return the kind of event that an object with canonical keys is; None = none of ours."""
    if (kind := marked_kind(record)) is not None:
        return kind
    return "workspace" if record.get("eventType") is not None else kind_of_keys(record)


_DECODERS = {kind: msgspec.json.Decoder(shape) for kind, shape in SHAPES.items()}
# What every form of the empty GUID holds: few bodies do, so few are looked at id by id.
_EMPTY_GUID = re.compile(rb"00000000-?0000-?0000-?0000-?000000000000")


_NO_ID = re.compile(r"[\s{(]*0{8}-?0{4}-?0{4}-?0{4}-?0{12}[\s})]*")


class Event(NamedTuple):
    """What a body is about.

    Attributes:
        kind: message, call, ivr or workspace.
        channel_id: lower case, None where the body names none (workspace events).
        conversation_id: lower case, None where the body names none.
        workspace_id: as sent, None where the body names none.
        payload: the body unwrapped, with known keys in canonical spelling and their values in
            the documented form; None = the body is just that.
        unreadable: minor keys whose value could not be read; null in the payload.
    """

    kind: str
    channel_id: str | None
    conversation_id: str | None
    workspace_id: str | None
    payload: str | None = None
    unreadable: tuple[str, ...] = ()


def event_of(kind: str, text: bytes) -> Event | None:
    """Return the event of a kind in a JSON object with canonical keys.

    None where an id is missing or the empty GUID, or a value is in no documented form.
    """
    try:
        head = _DECODERS[kind].decode(text)
    except UNREADABLE:
        return None
    for name in _INSTANTS[kind]:
        instant = getattr(head, name)
        if instant is not None and not is_calendar_day(instant):
            return None
    if _EMPTY_GUID.search(text) and _names_no_id(head, _IDS[kind]):
        return None
    return _EVENTS[kind](head)


def is_calendar_day(instant: str) -> bool:
    """Return whether the day of an instant in canonical form exists."""
    if instant[8:10] <= "28":
        return True
    try:
        datetime.fromisoformat(instant[:10])
    except ValueError:
        return False
    return True


def is_no_id(text: str) -> bool:
    """Return whether this is the empty GUID, which .NET writes for no id, in any of its forms."""
    return _NO_ID.fullmatch(text) is not None


def _names_no_id(head: Any, names: tuple[str, ...]) -> bool:
    """Return whether an id is the empty GUID in any of its forms."""
    ids = (getattr(head, name) for name in names)
    return any(value is not None and is_no_id(value) for value in ids)


def _id(value: str | None) -> str | None:
    """Return an id in lower case, None for empty text."""
    return (value.strip().lower() or None) if value else None


def _message(head: Message) -> Event | None:
    channel, conversation = _id(head.channel_id), _id(head.conversation_id)
    known = conversation or _id(head.conversation_event_id) or _id(head.message_id)
    if not (channel and known):
        return None
    return Event("message", channel, conversation, head.workspace_id)


def _call(head: Call) -> Event | None:
    channel, call = _id(head.channel_id), _id(head.call_id)
    if not (channel and call):
        return None
    return Event("call", channel, _id(head.conversation_id), head.workspace_id)


def _ivr(head: IvrCall) -> Event | None:
    channel, ivr = _id(head.channel_id), _id(head.id)
    if not (channel and ivr):
        return None
    return Event("ivr", channel, None, head.workspace_id)


def _workspace(head: WorkspaceEvent) -> Event | None:
    is_named = head.event_type not in (None, "")
    conversation = _id(head.conversation_id) or (_id(head.id) if is_named else None)
    others = (head.channel_id, head.contact_id, head.workspace_id)
    if not conversation and not (is_named and any(map(_id, others))):
        return None
    return Event("workspace", _id(head.channel_id), conversation, head.workspace_id)


_EVENTS: dict[str, Callable[[Any], Event | None]] = {
    "message": _message,
    "call": _call,
    "ivr": _ivr,
    "workspace": _workspace,
}
_IDS = {
    "message": (
        *("channel_id", "conversation_id", "conversation_event_id", "message_id", "contact_id"),
        *("workspace_id", "sender_user_id"),
    ),
    "call": (
        *("channel_id", "call_id", "conversation_id", "contact_id", "user_id", "ai_agent_id"),
        "workspace_id",
    ),
    "ivr": ("channel_id", "id", "call_id", "workspace_id"),
    "workspace": ("channel_id", "id", "conversation_id", "contact_id", "workspace_id"),
}
_INSTANTS = {
    "message": ("creation_time",),
    "call": ("creation_time", "pickup_time", "hangup_time", "csat_collected_at"),
    "ivr": ("creation_time", "initiated_at", "ringing_at", "answered_at", "completed_at"),
    "workspace": (),
}
