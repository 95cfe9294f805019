"""From the bytes of a body to an event of a known kind, or the reason why it is none.

The common body, compact JSON with keys in camelCase, takes two passes of msgspec: one over its
keys, one that checks the values of its kind. Everything else is read key by key: it is unwrapped
(`wrappers`), its keys are respelled and its values normalized (`values`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.schemas import (
    FOLDED,
    KEYS,
    SHAPES,
    SPELLING,
    Call,
    IvrCall,
    Message,
    WorkspaceEvent,
    kind_of,
)
from hatif.webhooks.values import is_calendar_day, normalize
from hatif.webhooks.wrappers import find_event

#: The largest body that the sender is known to send, and that is taken: 1 MiB.
LARGEST = 1 << 20
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODERS = {kind: msgspec.json.Decoder(shape) for kind, shape in SHAPES.items()}
_ENCODER = msgspec.json.Encoder(decimal_format="number")
# Escapes of JSON text; the group is NUL or half a surrogate pair, which no text column can hold.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    r"|(u0000|u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_WRAPPER = {"data", "eventType"}
_DEEP = {"transcription", "evaluationCriteriaResult"}
_SHAPES_KEPT = 4_096
_NO_ID = "00000000-0000-0000-0000-000000000000"


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


class _Shape(NamedTuple):
    """What holds for all bodies with the same keys in the same order.

    Attributes:
        kind: of event, None = none of ours.
        plain: every known key is in canonical spelling, and there is no wrapper.
        wrapper: just ``{data, eventType}``.
        deep: keys under which an object is examined the slow way.
        syntax: bytes of keys and punctuation in compact JSON.
    """

    kind: str | None
    plain: bool
    wrapper: bool
    deep: tuple[str, ...]
    syntax: int


def parse_event(body: bytes) -> Event:
    """Return the event in a body of UTF-8 text.

    Raises:
        InvalidUnit: with the reason.
    """
    try:
        members = _MEMBERS.decode(body)
    except UNREADABLE:
        return _decode_one_by_one(body)
    keys = tuple(members)
    shape = _shapes.get(keys) or _shape_of(keys)
    if shape.wrapper:
        return _unwrapped(members, body)
    if shape.plain and _says_all(members, shape, body) and b"\\u0000" not in body:
        event = _typed(shape.kind, body)
        if event is not None:
            return event
    return _decode_one_by_one(body)


_shapes: dict[tuple[str, ...], _Shape] = {}


def _shape_of(keys: tuple[str, ...]) -> _Shape:
    """Examine keys once for all bodies that have them; unknown ones cannot fill the memory."""
    folded = [fold(key) for key in keys]
    pairs = zip(keys, folded, strict=True)
    plain = (
        "data" not in keys
        and len(set(folded)) == len(keys)
        and all(key in KEYS or other not in FOLDED for key, other in pairs)
    )
    # Braces, and for each key two quotes, a colon and a comma.
    syntax = 1 + sum(len(key.encode("utf-8", "surrogatepass")) + 4 for key in keys)
    kind = kind_of(keys)
    deep = keys if kind == "workspace" else tuple(key for key in keys if key in _DEEP)
    shape = _Shape(kind, plain, set(keys) == _WRAPPER, deep, syntax)
    if len(_shapes) >= _SHAPES_KEPT:
        _shapes.clear()
    _shapes[keys] = shape
    return shape


def _says_all(members: dict[str, msgspec.Raw], shape: _Shape, body: bytes) -> bool:
    """Return whether keys and values make up the whole body, so that no key stood there twice.

    Nested objects are examined the slow way.
    """
    for key in shape.deep:
        if bytes(memoryview(members[key])[:1]) in b"{[":
            return False
    return shape.syntax + len(b"".join(members.values())) == len(body)


def _unwrapped(members: dict[str, msgspec.Raw], body: bytes) -> Event:
    """Take the event out of ``{data, eventType}`` without touching its text, where possible."""
    inner = bytes(members["data"])
    whole = len(inner) + len(bytes(members["eventType"])) + len('{"data":,"eventType":}')
    if whole != len(body) or not inner.startswith(b"{"):
        return _decode_one_by_one(body)
    keys = tuple(_MEMBERS.decode(inner))
    shape = _shapes.get(keys) or _shape_of(keys)
    if not shape.plain or not keys or "eventType" in keys:
        return _decode_one_by_one(body)
    if shape.kind in (None, "workspace"):
        inner = b'{"eventType":' + bytes(members["eventType"]) + b"," + inner[1:]
    event = parse_event(inner)
    return event if event.payload is not None else event._replace(payload=inner.decode())


def _decode_one_by_one(body: bytes) -> Event:
    if not body.strip():
        raise InvalidUnit(Reason.EMPTY)
    try:
        value = _parsed(_text(body))
        if not isinstance(value, dict):
            raise InvalidUnit(Reason.NOT_AN_OBJECT)
        record = find_event(SPELLING.respell(value))
        kind = kind_of(record)
        if kind is None:
            raise InvalidUnit(Reason.UNKNOWN_KIND)
        ours, unreadable, changed = normalize(kind, record)
        payload = None if not changed and record == value else _encoded(ours)
    except RecursionError:
        raise InvalidUnit(Reason.TOO_DEEP) from None
    event = _typed(kind, body if payload is None else payload)
    if event is None:
        raise InvalidUnit(Reason.MISSING_IDS)
    text = None if payload is None else payload.decode()
    return event._replace(payload=text, unreadable=unreadable)


def _encoded(record: dict[str, Any]) -> bytes:
    """Return a record as JSON; under unknown keys a number beyond all range becomes null."""
    text = _ENCODER.encode(record)
    return _ENCODER.encode(_finite(record)) if b"Infinity" in text else text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_finite, value))
    return None if isinstance(value, Decimal) and not value.is_finite() else value


def _text(body: bytes) -> str:
    """Decode what every part of the store can hold as text."""
    if body.startswith(_MARKS):
        raise InvalidUnit(Reason.BAD_ENCODING)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidUnit(Reason.BAD_ENCODING) from None
    if "\x00" in text or any(match[1] for match in _ESCAPES.finditer(text)):
        raise InvalidUnit(Reason.BAD_ENCODING)
    return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_reject_duplicate_keys,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_number,
        )
    except ValueError:
        raise InvalidUnit(Reason.BAD_JSON) from None


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; no key twice, in whatever spelling."""
    if len({fold(key) for key, _ in pairs}) < len(pairs):
        raise InvalidUnit(Reason.DUPLICATE_KEYS)
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise ValueError(word)  # NaN and Infinity are no JSON


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except ArithmeticError:  # beyond the range of any number
        return Decimal("Infinity")


def _integer(digits: str) -> int | Decimal:
    # The encoder takes 64 bits, and Python refuses to read some thousand digits.
    return int(digits) if len(digits) <= 18 else _decimal(digits)


def _typed(kind: str | None, text: bytes) -> Event | None:
    """Return the event with its ids.

    None where an id is missing or the empty GUID, or a value is in no documented form.
    """
    if kind is None:
        return None
    try:
        head = _DECODERS[kind].decode(text)
    except UNREADABLE:
        return None
    for name in _INSTANTS[kind]:
        instant = getattr(head, name)
        if instant is not None and not is_calendar_day(instant):
            return None
    return _EVENTS[kind](head)


def _id(value: str | None) -> str | None:
    """Return an id in lower case, None for empty text."""
    return (value.strip().lower() or None) if value else None


def _message(head: Message) -> Event | None:
    channel, conversation = _id(head.channel_id), _id(head.conversation_id)
    known = conversation or _id(head.conversation_event_id) or _id(head.message_id)
    ids = (conversation, head.conversation_event_id, head.message_id, head.contact_id)
    if not (channel and known) or _NO_ID in (channel, *ids, head.workspace_id, head.sender_user_id):
        return None
    return Event("message", channel, conversation, head.workspace_id)


def _call(head: Call) -> Event | None:
    channel, call = _id(head.channel_id), _id(head.call_id)
    ids = (head.conversation_id, head.contact_id, head.user_id, head.ai_agent_id)
    if not (channel and call) or _NO_ID in (channel, call, *ids, head.workspace_id):
        return None
    return Event("call", channel, _id(head.conversation_id), head.workspace_id)


def _ivr(head: IvrCall) -> Event | None:
    channel, ivr = _id(head.channel_id), _id(head.id)
    if not (channel and ivr) or _NO_ID in (channel, ivr, head.call_id, head.workspace_id):
        return None
    return Event("ivr", channel, None, head.workspace_id)


def _workspace(head: WorkspaceEvent) -> Event | None:
    is_named = head.event_type not in (None, "")
    conversation = _id(head.conversation_id) or (_id(head.id) if is_named else None)
    others = (head.channel_id, head.contact_id, head.workspace_id)
    if not conversation and not (is_named and any(map(_id, others))):
        return None
    if _NO_ID in (conversation, head.id, *others):
        return None
    return Event("workspace", _id(head.channel_id), conversation, head.workspace_id)


_EVENTS: dict[str, Callable[[Any], Event | None]] = {
    "message": _message,
    "call": _call,
    "ivr": _ivr,
    "workspace": _workspace,
}
_INSTANTS = {
    "message": ("creation_time",),
    "call": ("creation_time", "pickup_time", "hangup_time", "csat_collected_at"),
    "ivr": ("creation_time", "initiated_at", "ringing_at", "answered_at", "completed_at"),
    "workspace": (),
}
