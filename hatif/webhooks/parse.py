"""From the bytes of a body to an event of a known kind, or the reason why it is none.

The common body, compact JSON with keys in camelCase, takes two passes of msgspec: one over its
keys, one that checks the values of its kind (`events`). Everything else is read key by key
(`strict_json`): it is unwrapped (`wrappers`), its keys are respelled and its values normalized
(`values`). Both ways give the same event.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.webhooks import strict_json
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.schemas import (
    FOLDED,
    KEYS,
    MARKS,
    SPELLING,
    Event,
    event_of,
    kind_of,
    kind_of_keys,
)
from hatif.webhooks.values import normalize
from hatif.webhooks.wrappers import find_event

#: The largest body that the sender is known to send, and that is taken: 1 MiB.
LARGEST = 1 << 20
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WRAPPER = {"data", "eventType"}
_DEEP = {"transcription", "evaluationCriteriaResult"}
_SHAPES_KEPT = 4_096


class _Shape(NamedTuple):
    """What holds for all bodies with the same keys in the same order.

    Attributes:
        kind: of event, None = none of ours.
        mark: the key that gives the kind, where its value must not be null for that.
        plain: every known key is in canonical spelling, and there is no wrapper.
        wrapper: just ``{data, eventType}``.
        deep: keys under which an object is examined the slow way.
        syntax: bytes of keys and punctuation in compact JSON.
    """

    kind: str | None
    mark: str | None
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
    if (
        shape.plain
        and shape.kind is not None
        and _is_whole(members, shape, body)
        and b"\\u0000" not in body
    ):
        event = event_of(shape.kind, body)
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
    kind = kind_of_keys(keys)
    mark = next((mark for mark, _ in MARKS if mark in keys), None)
    deep = keys if kind == "workspace" else tuple(key for key in keys if key in _DEEP)
    shape = _Shape(kind, mark, plain, set(keys) == _WRAPPER, deep, syntax)
    if len(_shapes) >= _SHAPES_KEPT:
        _shapes.clear()
    _shapes[keys] = shape
    return shape


def _is_whole(members: dict[str, msgspec.Raw], shape: _Shape, body: bytes) -> bool:
    """Return whether keys and values make up the whole body, so that no key stood there twice.

    Nested objects are examined the slow way, and so is what only a null gives its kind.
    """
    if shape.mark is not None and bytes(members[shape.mark]) == b"null":
        return False
    for key in shape.deep:
        if bytes(memoryview(members[key])[:1]) in b"{[":
            return False
    if shape.kind == "workspace" and b'\\"' in body:  # text that may be JSON
        return False
    return shape.syntax + len(b"".join(members.values())) == len(body)


def _unwrapped(members: dict[str, msgspec.Raw], body: bytes) -> Event:
    """Take the event out of ``{data, eventType}`` without touching its text, where possible."""
    inner = bytes(members["data"])
    whole = len(inner) + len(bytes(members["eventType"])) + len('{"data":,"eventType":}')
    if whole != len(body) or not inner.startswith(b"{"):
        return _decode_one_by_one(body)
    inside = _MEMBERS.decode(inner)
    keys = tuple(inside)
    shape = _shapes.get(keys) or _shape_of(keys)
    if not shape.plain or not keys or "eventType" in keys:
        return _decode_one_by_one(body)
    if shape.mark is not None and bytes(inside[shape.mark]) == b"null":
        return _decode_one_by_one(body)
    if shape.kind in (None, "workspace"):
        inner = b'{"eventType":' + bytes(members["eventType"]) + b"," + inner[1:]
    event = parse_event(inner)
    return event if event.payload is not None else event._replace(payload=inner.decode())


def _decode_one_by_one(body: bytes) -> Event:
    """Return the event in a body in whatever form."""
    if not body.strip():
        raise InvalidUnit(Reason.EMPTY)
    try:
        value = strict_json.decode(body)
        if not isinstance(value, dict):
            raise InvalidUnit(Reason.NOT_AN_OBJECT)
        record = find_event(SPELLING.respell(value))
        kind = kind_of(record)
        if kind is None:
            raise InvalidUnit(Reason.UNKNOWN_KIND)
        ours, unreadable, changed = normalize(kind, record)
        payload = None if not changed and record == value else strict_json.encode(ours)
    except RecursionError:
        raise InvalidUnit(Reason.TOO_DEEP) from None
    event = event_of(kind, body if payload is None else payload)
    if event is None:
        raise InvalidUnit(Reason.MISSING_IDS)
    text = None if payload is None else payload.decode()
    return event._replace(payload=text, unreadable=unreadable)
