"""Events: a body's kind and the ids by which it is stored, out of JSON in the documented form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE
from hatif.webhooks.schemas import SHAPES, Call, IvrCall, Message, WorkspaceEvent
from hatif.webhooks.values import is_calendar_day, is_no_id

_DECODERS = {kind: msgspec.json.Decoder(shape) for kind, shape in SHAPES.items()}
# What every form of the empty GUID holds: few bodies do, so few are looked at id by id.
_EMPTY_GUID = re.compile(rb"00000000-?0000-?0000-?0000-?000000000000")


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
