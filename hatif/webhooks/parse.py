"""From the bytes of a body to an event of a known kind, or the reason why it is none.

The common body, compact JSON with keys in camelCase, takes two passes of msgspec: one over its
keys, one that checks the values of its kind. Everything else goes the slow way, key by key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.webhooks.reasons import InvalidUnit, Reason, bad_value
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


class Event(NamedTuple):
    """What a body is about.

    Attributes:
        kind: message, call, ivr or workspace.
        channel_id: lower case, None where the body names none (workspace events).
        conversation_id: lower case, None where the body names none.
        subject: the id of the call or IVR call, lower case; None for the other kinds.
        payload: the body unwrapped and with known keys in camelCase; None = the body is just that.
    """

    kind: str
    channel_id: str | None
    conversation_id: str | None
    subject: str | None
    payload: str | None


class _Shape(NamedTuple):
    """What can be said of all bodies with the same keys in the same order."""

    kind: str | None
    plain: bool
    wrapper: bool
    deep: tuple[str, ...]
    syntax: int


def parse_event(body: bytes) -> Event:
    """Return the event that a body of UTF-8 text tells.

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
        return _typed(shape.kind, body, None)
    return _decode_one_by_one(body)


_shapes: dict[tuple[str, ...], _Shape] = {}


def _shape_of(keys: tuple[str, ...]) -> _Shape:
    """Look at keys once for all bodies that have them; strangers cannot fill the memory."""
    folded = [fold(key) for key in keys]
    pairs = zip(keys, folded, strict=True)
    plain = (
        "data" not in keys
        and len(set(folded)) == len(keys)
        and all(key in KEYS or other not in FOLDED for key, other in pairs)
    )
    # Braces, and for each key two quotes, a colon and a comma.
    syntax = 1 + sum(len(key.encode("utf-8", "surrogatepass")) + 4 for key in keys)
    deep = tuple(key for key in keys if key in _DEEP)
    shape = _Shape(kind_of(keys), plain, set(keys) == _WRAPPER, deep, syntax)
    if len(_shapes) >= _SHAPES_KEPT:
        _shapes.clear()
    _shapes[keys] = shape
    return shape


def _says_all(members: dict[str, msgspec.Raw], shape: _Shape, body: bytes) -> bool:
    """Tell whether keys and values make up the whole body, so that no key stood there twice.

    Nested objects are looked into the slow way.
    """
    for key in shape.deep:
        if bytes(memoryview(members[key])[:1]) in b"{[":
            return False
    return shape.syntax + len(b"".join(members.values())) == len(body)


def _unwrapped(members: dict[str, msgspec.Raw], body: bytes) -> Event:
    """Take the event out of ``{data, eventType}`` without touching its text, if that can be."""
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
    value = _parsed(_text(body))
    if not isinstance(value, dict):
        raise InvalidUnit(Reason.NOT_AN_OBJECT)
    record = SPELLING.respell(value)
    inner = record.get("data")
    if "data" in record and kind_of(record.keys() - {"eventType", "conversationId"}) is None:
        if not isinstance(inner, dict):
            raise InvalidUnit(Reason.NOT_AN_OBJECT)
        kind = kind_of(inner.keys())
        told = {"eventType": record["eventType"]} if "eventType" in record else {}
        record = inner if kind not in (None, "workspace") else {**told, **inner}
    kind = kind_of(record.keys())
    if kind is None:
        raise InvalidUnit(Reason.UNKNOWN_KIND)
    payload = body if record == value else _ENCODER.encode(record)
    return _typed(kind, payload, None if record == value else payload.decode())


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
            parse_float=Decimal,
            parse_constant=_no_number,
        )
    except (ValueError, ArithmeticError):  # the latter: a number beyond any number's range
        raise InvalidUnit(Reason.BAD_JSON) from None
    except RecursionError:
        raise InvalidUnit(Reason.TOO_DEEP) from None


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; no key twice, in whatever spelling."""
    if len({fold(key) for key, _ in pairs}) < len(pairs):
        raise InvalidUnit(Reason.DUPLICATE_KEYS)
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise ValueError(word)  # NaN and Infinity are no JSON


def _typed(kind: str | None, text: bytes, payload: str | None) -> Event:
    """Check the values and take out the ids."""
    if kind is None:
        raise InvalidUnit(Reason.UNKNOWN_KIND)
    try:
        head = _DECODERS[kind].decode(text)
    except msgspec.ValidationError as error:
        key = re.search(r"`\$\.(\w+)", str(error))
        raise InvalidUnit(bad_value(key[1] if key else "")) from None
    except RecursionError:
        raise InvalidUnit(Reason.TOO_DEEP) from None
    event = _EVENTS[kind](head, payload)
    if event is None:
        raise InvalidUnit(Reason.MISSING_IDS)
    return event


def _id(value: str | None) -> str | None:
    return (value.strip().lower() or None) if value else None


def _message(head: Message, payload: str | None) -> Event | None:
    channel, conversation = _id(head.channel_id), _id(head.conversation_id)
    known = conversation or _id(head.conversation_event_id) or _id(head.message_id)
    return Event("message", channel, conversation, None, payload) if channel and known else None


def _call(head: Call, payload: str | None) -> Event | None:
    channel, call = _id(head.channel_id), _id(head.call_id)
    if not (channel and call):
        return None
    return Event("call", channel, _id(head.conversation_id), call, payload)


def _ivr(head: IvrCall, payload: str | None) -> Event | None:
    channel, ivr = _id(head.channel_id), _id(head.id)
    return Event("ivr", channel, None, ivr, payload) if channel and ivr else None


def _workspace(head: WorkspaceEvent, payload: str | None) -> Event | None:
    told = head.event_type not in (None, "")
    conversation = _id(head.conversation_id) or (_id(head.id) if told else None)
    others = (head.channel_id, head.contact_id, head.workspace_id)
    if not conversation and not (told and any(map(_id, others))):
        return None
    return Event("workspace", _id(head.channel_id), conversation, None, payload)


_EVENTS: dict[str, Callable[[Any, str | None], Event | None]] = {
    "message": _message,
    "call": _call,
    "ivr": _ivr,
    "workspace": _workspace,
}
