"""Values under known keys that come in another form than documented: read, or left out.

Where one value of a delivery has an unexpected form, the rest still counts. A value that can be
read surely is (``"true"``, ``1``, ``131047.0``); where that is not so, a minor one becomes null and
is reported, and one that identifies the event or its owner makes it invalid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hatif.webhooks import schemas
from hatif.webhooks.reasons import InvalidUnit, bad_value

#: Keys that identify the event: unreadable, they make it invalid.
_ESSENTIAL = {
    "message": {
        *("channelId", "conversationId", "conversationEventId", "messageId", "creationTime"),
    },
    "call": {"callId", "channelId", "creationTime"},
    "ivr": {"id", "channelId", "creationTime"},
    "workspace": {"conversationId", "id", "channelId"},
}
_MOST_DIGITS = 18  # beyond, no column for numbers holds it
_LARGEST_EXPONENT = 300  # of a number with a fraction, in any column
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_NUMBER = re.compile(r"[+-]?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,2})?")
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" ?(Z|z|UTC|GMT|(?:[+-])(?:[0-9]{2})(?::?[0-9]{2})?)?"
)
_DURATION = re.compile(schemas.DURATION)
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")


class _Unreadable(Exception):
    """The value cannot be read as what its key promises."""


def normalize(kind: str, record: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...], bool]:
    """Return an event with every known value in the documented form.

    Args:
        kind: of the event.
        record: with keys in canonical spelling.

    Returns:
        The event; the minor keys that could not be read, whose value is null now; and whether
        anything differs from before.

    Raises:
        InvalidUnit: an essential value cannot be read.
    """
    unreadable: list[str] = []
    changed: dict[str, Any] = {}
    for key, read in _READERS[kind].items():
        value = record.get(key)
        if value is None:
            continue
        try:
            ours = read(value)
        except (_Unreadable, ArithmeticError):  # the latter: beyond what can be computed with
            if key in _ESSENTIAL[kind]:
                raise InvalidUnit(bad_value(key)) from None
            unreadable.append(key)
            ours = None
        if ours is not value:
            changed[key] = ours
    return {**record, **changed}, tuple(unreadable), bool(changed)


def canonical_instant(text: str) -> str | None:
    """Return an instant in the form ``2026-11-01T10:00:00.5+03:00``; None if it is none.

    Every form of RFC 3339 is one, a leap second included, and so are ISO 8601's without seconds
    or with hours alone in the offset. Without an offset it stays so.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second = int(match[6] or 0)
    leap = second == 60
    try:
        instant = datetime(year, month, day, hour, minute, second - leap)  # noqa: DTZ001
    except ValueError:
        return None
    offset = _offset(match[8])
    instant += timedelta(seconds=int(leap))
    if offset is None or not 1900 <= instant.year < 2200:  # as the store's `bounded` macro
        return None
    fraction = f".{match[7][:9]}" if match[7] and not leap else ""
    return f"{instant.isoformat()}{fraction}{offset}"


def _offset(text: str | None) -> str | None:
    if text is None:
        return ""
    if text[0] not in "+-":
        return "Z"
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    return f"{text[0]}{hours:02}:{minutes:02}" if hours < 24 and minutes < 60 else None


def _id(value: Any) -> str | None:
    if not isinstance(value, str):
        raise _Unreadable
    return None if schemas.is_no_id(value) else value


def _minor_id(value: Any) -> str | None:
    return _id(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Unreadable
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not isinstance(exponent, int) or abs(exponent) > 30:
        raise _Unreadable
    return f"{number:f}"


def _code(value: Any) -> str | int:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Unreadable
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS or number != int(number):
        raise _Unreadable
    return value if isinstance(value, int) else int(number)


def _plain(text: str) -> str:
    """Return text without space around it, its Arabic and Persian digits as 0 to 9."""
    return text.strip().translate(_DIGITS)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = _plain(value).lower() if isinstance(value, str) else str(_code(value))
    if text not in _FLAGS:
        raise _Unreadable
    return _FLAGS[text]


def _number(value: Any) -> Any:
    if isinstance(value, str):
        text = _plain(value)
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            raise _Unreadable
        return Decimal(text)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Unreadable
    number = Decimal(value)
    if not number.is_finite() or (number and abs(number.adjusted()) > _LARGEST_EXPONENT):
        raise _Unreadable
    return value


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return _number(value)
    text = _plain(value)
    if not text:
        return None
    if not _DURATION.search(text):
        raise _Unreadable
    return value if text == value else text


def _instant(value: Any) -> str:
    ours = canonical_instant(value) if isinstance(value, str) else None
    if ours is None:
        raise _Unreadable
    return value if ours == value else ours


def _phone(value: Any) -> Any:
    return value if isinstance(value, dict) else _text(value)


def _words(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise _Unreadable
    return value


_Reader = Callable[[Any], Any]


def _readers(shape: type[Any], readers: dict[str, _Reader]) -> dict[str, _Reader]:
    return {key: readers.get(key, _text) for key in schemas.keys_of(shape)}


_SPECIAL: dict[str, _Reader] = {
    **dict.fromkeys(("channelId", "conversationId", "conversationEventId", "messageId"), _id),
    **dict.fromkeys(("callId", "id"), _id),
    **dict.fromkeys(("contactId", "workspaceId", "senderUserId"), _minor_id),
    **dict.fromkeys(("userId", "aiAgentId"), _minor_id),
    **dict.fromkeys(("direction", "messageType", "status", "type", "sentiment"), _code),
    **dict.fromkeys(("errorCode", "csatMethod", "result", "pressedDigit"), _code),
    **dict.fromkeys(("hangupCause", "eventType"), _code),
    **dict.fromkeys(("isBillable", "isAiCall"), _flag),
    **dict.fromkeys(("latitude", "longitude", "csatRating", "callDurationSeconds"), _number),
    "callLength": _duration,
    **dict.fromkeys(("creationTime", "pickupTime", "hangupTime", "csatCollectedAt"), _instant),
    **dict.fromkeys(("initiatedAt", "ringingAt", "answeredAt", "completedAt"), _instant),
    **dict.fromkeys(("callerNumber", "calleeNumber", "contactNumber"), _phone),
    "destinationNumber": _phone,
    "transcription": _words,
    "evaluationCriteriaResult": lambda value: value,  # no table reads it: it stays as it is
}
_READERS = {kind: _readers(shape, _SPECIAL) for kind, shape in schemas.SHAPES.items()}
