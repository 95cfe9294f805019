"""A unit of a file becomes a delivery to store, or a rejection with its reason."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from datetime import datetime
from typing import NamedTuple

from hatif.webhooks.envelopes import Content, unwrap, without_secrets
from hatif.webhooks.parse import LARGEST, parse_event
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.signatures import Secrets

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
