"""Bodies in their wrapping: bare as sent, or in an envelope with receive time and headers."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.signatures import HEADER
from hatif.webhooks.values import canonical_instant

_Header = str | list[str] | None
# A receive time outside of these years is none: no clock of a collector shows it.
_FIRST_YEAR, _LAST_YEAR = 1970, 2261


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """A body as a collector keeps it; `channelId` and `data` would make it a body itself."""

    received_at: Annotated[datetime, msgspec.Meta(tz=True)]
    headers: dict[str, _Header] | None = None
    body: str | None = None
    body_base64: str | None = None
    channelId: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Content(NamedTuple):
    """A body, what is known of its arrival (None for a bare body), and its text where known."""

    body: bytes
    received_at: datetime | None
    signature: str | None
    text: str | None = None


_ENVELOPE = msgspec.json.Decoder(Envelope)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = b"null"
# Headers that can hold a secret, in text that is no JSON any more.
_SENSITIVE = r"[\w-]*(?:authorization|cookie|token|secret|password|api-?key)[\w-]*"
_SECRET_HEADER = re.compile(_SENSITIVE, re.IGNORECASE)
_SECRET_HEADERS = re.compile(rf'("{_SENSITIVE}"\s*:\s*)"[^"]*"?'.encode(), re.IGNORECASE)


def unwrap(unit: bytes) -> Content:
    """Return the body in a unit: a line of NDJSON, an element of an array, a whole file.

    Raises:
        InvalidUnit: it is an envelope, and a malformed one.
    """
    if b'"received_at"' not in unit:
        return Content(unit, None, None)
    try:
        found = _ENVELOPE.decode(unit)
    except UNREADABLE:
        members = _envelope_members(unit)
        if members is None:
            return Content(unit, None, None)
        found = _lenient(members)
    if found.channelId is not msgspec.UNSET or found.data is not msgspec.UNSET:
        return Content(unit, None, None)
    if found.body is not None and found.body_base64 is None:
        body = found.body.encode()
    elif found.body_base64 is not None and found.body is None:
        try:
            body = base64.b64decode(found.body_base64, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidUnit(Reason.BAD_ENVELOPE) from None
    elif found.body is None:
        return Content(unit, None, None)
    else:
        raise InvalidUnit(Reason.BAD_ENVELOPE)
    if not _FIRST_YEAR <= found.received_at.year <= _LAST_YEAR:
        raise InvalidUnit(Reason.BAD_ENVELOPE)
    return Content(body, found.received_at, _signature(found.headers), found.body)


def _envelope_members(unit: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the members of what is an envelope by its keys, whatever their values; else None."""
    try:
        members = _MEMBERS.decode(unit)
    except UNREADABLE:
        return None
    bodies = [key for key in ("body", "body_base64") if bytes(members.get(key) or _NULL) != _NULL]
    is_one = "received_at" in members and bodies and not members.keys() & {"channelId", "data"}
    return members if is_one else None


def _lenient(members: dict[str, msgspec.Raw]) -> Envelope:
    """Return an envelope whose receive time is in another form of RFC 3339, or headers in any.

    Raises:
        InvalidUnit: that is not what is wrong with it.
    """
    known = {key: members[key] for key in ("body", "body_base64") if key in members}
    try:
        text = canonical_instant(msgspec.json.decode(members["received_at"], type=str))
        found = _ENVELOPE.decode(msgspec.json.encode(known | {"received_at": text}))
        headers = msgspec.json.decode(members.get("headers") or _NULL)
    except UNREADABLE:
        raise InvalidUnit(Reason.BAD_ENVELOPE) from None
    found.headers = _as_headers(headers)
    return found


def _as_headers(sent: Any) -> dict[str, _Header]:
    """Return headers by name; out of an object, of pairs, or of objects with name and value."""
    if isinstance(sent, dict):
        pairs = list(sent.items())
    else:
        items = sent if isinstance(sent, list) else []
        pairs = [tuple(one.values()) if isinstance(one, dict) else one for one in items]
    texts: dict[str, _Header] = {}
    for pair in pairs:
        name, value = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (None, None)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(name, str) and isinstance(value, str):
            texts[name] = value
    return texts


def _signature(headers: dict[str, _Header] | None) -> str | None:
    if not headers:
        return None
    value = headers.get(HEADER)
    if value is None:
        for name in headers:
            if name.lower() == HEADER:
                value = headers[name]
                break
    if isinstance(value, list):
        value = value[0] if value else None
    return value.strip() if value else None


def is_secret_header(name: str) -> bool:
    """Return whether a header of this name can hold a secret."""
    return _SECRET_HEADER.fullmatch(name) is not None


def without_secrets(unit: bytes) -> bytes:
    """Blank the headers that can hold a secret in the text of a malformed envelope."""
    return _SECRET_HEADERS.sub(rb'\1"<withheld>"', unit)
