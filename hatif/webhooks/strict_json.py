"""JSON read strictly: text that every part of the store can hold, no doubt, no number lost.

What the fast readers of `parse` do not accept, or do not see, is read here key by key.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from hatif.envelope import fold
from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.schemas import FOLDED

_ENCODER = msgspec.json.Encoder(decimal_format="number")
# Escapes of JSON text; the group is NUL or half a surrogate pair, which no text column can hold.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    r"|(u0000|u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def decode(body: bytes) -> Any:
    """Return the value of a JSON text; numbers beyond 64 bits or with a fraction as decimals.

    Raises:
        InvalidUnit: it is no UTF-8 or holds what no text column can, is no JSON, or has an object
            with one key twice, in whatever spelling, and different values.
        RecursionError: it is nested too deep.
    """
    try:
        return json.loads(
            _text(body),
            object_pairs_hook=_reject_duplicate_keys,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_number,
        )
    except ValueError:
        raise InvalidUnit(Reason.BAD_JSON) from None


def encode(record: dict[str, Any]) -> bytes:
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
    """Return a body as text that every part of the store can hold."""
    if body.startswith(_MARKS):
        raise InvalidUnit(Reason.BAD_ENCODING)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidUnit(Reason.BAD_ENCODING) from None
    if "\x00" in text or any(match[1] for match in _ESCAPES.finditer(text)):
        raise InvalidUnit(Reason.BAD_ENCODING)
    return text


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; no key that is read twice with different values."""
    if len({fold(key) for key, _ in pairs}) < len(pairs) and _is_ambiguous(pairs):
        raise InvalidUnit(Reason.DUPLICATE_KEYS)
    return dict(pairs)


def _is_ambiguous(pairs: list[tuple[str, Any]]) -> bool:
    """Return whether two readers would see different events; under unknown keys can be some."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        folded = fold(key)
        other = found.setdefault(folded, value)
        is_read = folded in FOLDED or isinstance(value, dict | list)
        if other != value and (is_read or isinstance(other, dict | list)):
            return True
    return False


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
