"""A unit of a file becomes a delivery to store, or a rejection with its reason.

A unit is a body bare as sent, or an envelope with receive time and headers around one (`unwrap`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Set
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.webhooks.parse import LARGEST, parse_event
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.signatures import HEADER, Secrets
from hatif.webhooks.values import canonical_instant

_Header = str | list[str] | None
# A receive time outside of these years is none: no clock of a collector shows it.
_FIRST_YEAR, _LAST_YEAR = 1970, 2261


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """A body as a collector keeps it."""

    received_at: Annotated[datetime, msgspec.Meta(tz=True)]
    headers: dict[str, _Header] | None = None
    body: str | None = None
    body_base64: str | None = None


class Content(NamedTuple):
    """A body, what is known of its arrival (None for a bare body), and its text where known."""

    body: bytes
    received_at: datetime | None
    signature: str | None
    text: str | None = None


#: Keys that make an object with a receive time a body itself, in any spelling; and those in use,
#: which the decoder looks for, so that they cost nothing where there are none.
_OF_BODIES = frozenset({"channelid", "data"})
_SPELLINGS = (
    *("channelId", "ChannelId", "channel_id", "channelID", "ChannelID", "channelid"),
    *("CHANNEL_ID", "CHANNELID", "Channel_Id", "data", "Data", "DATA"),
)
_ENVELOPE: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(
    msgspec.defstruct(
        "_EnvelopeAlone",
        [(key, msgspec.UnsetType, msgspec.UNSET) for key in _SPELLINGS],
        bases=(Envelope,),
        gc=False,
    )
)
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
    is_one = "received_at" in members and bodies and _OF_BODIES.isdisjoint(map(fold, members))
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
        if isinstance(value, list):
            value = ",".join(one for one in value if isinstance(one, str))
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
        value = ",".join(value)
    return value.strip() if value else None


def is_secret_header(name: str) -> bool:
    """Return whether a header of this name can hold a secret."""
    return _SECRET_HEADER.fullmatch(name) is not None


def without_secrets(unit: bytes) -> bytes:
    """Blank the headers that can hold a secret in the text of a malformed envelope."""
    return _SECRET_HEADERS.sub(rb'\1"<withheld>"', unit)


#: How much of something oversized is kept to recognise it by; the rest stays in its file.
SHOWN = 4_096
# A GUID is written with dashes, without, or in brackets.
_PUNCTUATION = re.compile(r"[{}()-]")
_DIGITS = re.compile(r"[0-9a-f]{32}")


class Delivery(NamedTuple):
    """An accepted body; columns as in ``raw.webhook_events``.

    Attributes:
        is_stated: an envelope stated the receive time; a bare file's modification time stands in
            for the order of deliveries alone.
        unreadable: minor keys whose value could not be read, for ``ops.drift``.
    """

    delivery_id: str
    kind: str
    channel_id: str | None
    conversation_id: str | None
    received_at: datetime
    signature: str
    body: str
    payload: str | None
    is_stated: bool
    unreadable: tuple[str, ...] = ()


class Rejection(NamedTuple):
    """Something set aside.

    Attributes:
        reason: why.
        raw: its text; bytes that are no UTF-8 show as backslash escapes.
        received_at: of the body; None where `raw` is not all of it to the byte, so that it cannot
            be validated again.
        signature: as sent, to validate it again by.
        location: file, and number of the body where it has several; set by the file's reader.
        is_stated: an envelope stated the receive time.
    """

    reason: str
    raw: str
    received_at: datetime | None = None
    signature: str | None = None
    location: str = ""
    is_stated: bool = False

    @property
    def reject_id(self) -> str:
        """The same bad body with the same signature has the same id at every sight.

        What was never read has nothing but its place to be known by.
        """
        place = "" if self.received_at is not None else self.location
        text = "\x1f".join(("webhook", self.reason, self.raw, self.signature or "", place))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Oversized(bytes):
    """The beginning of a unit too long to be held."""


def validate_unit(
    unit: bytes, secrets: Secrets, modified_at: datetime, workspaces: Set[str] = frozenset()
) -> Delivery | Rejection:
    """Return what becomes of a unit.

    Args:
        unit: a bare body or an envelope.
        secrets: by channel.
        modified_at: of the file, which a bare body takes as its receive time.
        workspaces: ids of the home's own; empty while it is not known.
    """
    if isinstance(unit, Oversized):
        return Rejection(Reason.OVERSIZED, _shown(without_secrets(unit)))
    try:
        content = unwrap(unit)
    except InvalidUnit as unfit:
        return _rejection(unfit.reason, without_secrets(unit), unit, modified_at, None)
    return validate_body(content, secrets, modified_at, workspaces)


def validate_body(
    content: Content,
    secrets: Secrets,
    modified_at: datetime,
    workspaces: Set[str] = frozenset(),
    *,
    is_verified: bool = False,
) -> Delivery | Rejection:
    """Return what becomes of a body out of its envelope.

    Args:
        content: the body and its arrival.
        secrets: by channel.
        modified_at: of the file, which a bare body takes as its receive time.
        workspaces: ids of the home's own; empty while it is not known.
        is_verified: it had passed this test of its signature when it was set aside for another
            reason; what does not pass it any more is stored as unsigned.
    """
    body, received_at, signature, text = content
    if len(body) > LARGEST:
        return Rejection(Reason.OVERSIZED, _shown(body[:SHOWN]))
    try:
        text = body.decode() if text is None else text
        event = parse_event(body)
    except UnicodeDecodeError:
        reason: str = Reason.BAD_ENCODING
    except InvalidUnit as unfit:
        reason = unfit.reason
    else:
        verdict = secrets.verify(event.channel_id, body, signature)
        if verdict is None and is_verified:
            verdict = "unsigned"
        is_foreign = bool(workspaces) and _is_foreign(event.workspace_id, workspaces)
        if verdict is not None and not is_foreign:
            return Delivery(
                hashlib.sha256(body).hexdigest(),
                event.kind,
                event.channel_id,
                event.conversation_id,
                received_at or modified_at,
                verdict,
                text,
                event.payload,
                received_at is not None,
                event.unreadable,
            )
        reason = Reason.BAD_SIGNATURE if verdict is None else Reason.FOREIGN
    shown = without_secrets(body) if reason == Reason.BAD_JSON else body
    rejection = _rejection(reason, shown, body, received_at or modified_at, signature)
    return rejection._replace(is_stated=received_at is not None)


def truncated(rest: bytes, location: str) -> Rejection:
    """Return the rejection of what is left of a file that ends too early."""
    shown = rest if len(rest) <= LARGEST else rest[:SHOWN]
    return Rejection(Reason.TRUNCATED, _shown(without_secrets(shown)), location=location)


def _is_foreign(workspace_id: str | None, workspaces: Set[str]) -> bool:
    """Return whether an event names another workspace; what is no GUID names none."""
    named = (workspace_id or "").strip().lower()
    if named in workspaces or len(named) < 32:
        return False
    digits = _PUNCTUATION.sub("", named)
    ours = {one.replace("-", "") for one in workspaces}
    return _DIGITS.fullmatch(digits) is not None and digits not in ours


def _rejection(
    reason: str, shown: bytes, exact: bytes, received_at: datetime, signature: str | None
) -> Rejection:
    raw = _shown(shown)
    return Rejection(reason, raw, received_at if raw.encode() == exact else None, signature)


def _shown(text: bytes) -> str:
    # A NUL ends a text in some readers.
    return text.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
