"""Records that no reader can use, made from a good neighbour; they stay in their list."""

from collections.abc import Callable
from typing import Any

import msgspec

Json = dict[str, Any]

_ID_KEYS = ("id", "eventid", "userid")
_TEXT_KEYS = ("name", "body", "contactname", "propertyname")
_MARK = "@text@"


def bad_record(kind: str, neighbour: bytes, new_id: str) -> bytes:
    """One bad record of that kind.

    Raises:
        KeyError: no such kind.
    """
    return _MAKERS[kind](msgspec.json.decode(neighbour), new_id)


def _not_an_object(_: Json, __: str) -> bytes:
    return b'"this is no record"'


def _without_id(shape: Json, _: str) -> bytes:
    return msgspec.json.encode({k: v for k, v in shape.items() if k.lower() not in _ID_KEYS})


def _with_number_as_id(shape: Json, _: str) -> bytes:
    return msgspec.json.encode({k: 17 if k.lower() in _ID_KEYS else v for k, v in shape.items()})


def _with_wrong_types(shape: Json, new_id: str) -> bytes:
    """A good id and nothing else of the promised type."""
    wrong = {key: _wrong(value) for key, value in shape.items()}
    return msgspec.json.encode(_with_id(wrong, shape, new_id))


def _wrong(value: Any) -> Any:
    if isinstance(value, str):
        return {"unexpected": True}
    if isinstance(value, list):
        return "none"
    return value if value is None else ["x"]


def _with(value: bytes) -> Callable[[Json, str], bytes]:
    """A record whose text is this piece of a body, JSON or not."""

    def make(shape: Json, new_id: str) -> bytes:
        marked = _with_id(dict(shape), shape, new_id)
        key = next((key for key in shape if key.lower() in _TEXT_KEYS), "name")
        marked[key] = _MARK
        return msgspec.json.encode(marked).replace(b'"' + _MARK.encode() + b'"', value)

    return make


def _with_id(target: Json, shape: Json, new_id: str) -> Json:
    return target | {key: new_id for key in shape if key.lower() in _ID_KEYS}


_MAKERS: dict[str, Callable[[Json, str], bytes]] = {
    "not_object": _not_an_object,
    "no_id": _without_id,
    "number_id": _with_number_as_id,
    "wrong_types": _with_wrong_types,
    "lone_surrogate": _with(rb'"before \ud83d after"'),
    "nul": _with(rb'"before \u0000 after"'),
    "nan": _with(b"NaN"),
}

BAD_RECORDS = tuple(_MAKERS)
"""Every kind of bad record."""
