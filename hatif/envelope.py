"""Where in an answer the records are: bare or wrapped, in whatever casing, one bad or none."""

from __future__ import annotations

import re

import msgspec

from hatif.errors import Undecodable

#: What reading JSON that is none can raise.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: What an offset, a 32-bit number, can reach.
_LARGEST_TOTAL = 2**31 - 1
_WRAPPERS = ("items", "data", "result", "value")
#: An escape in JSON text; the group is one that is half a surrogate pair.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
_HIDDEN = b"\xff"  # stands for the backslash of such a half: passed over in text, never readable


class _Envelope(msgspec.Struct):
    totalCount: int | None = None  # noqa: N815
    items: list[msgspec.Raw] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ANY_LIST: msgspec.json.Decoder[list[msgspec.Raw] | dict[str, msgspec.Raw]] = msgspec.json.Decoder(
    list[msgspec.Raw] | dict[str, msgspec.Raw]
)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw] | None)
_TOTAL = msgspec.json.Decoder(int | None, strict=False)


def fold(key: str) -> str:
    """Return what all spellings of a key have in common."""
    return key.replace("_", "").lower()


def unwrap(body: bytes) -> tuple[list[msgspec.Raw], int | None, bool]:
    """Return the records, the total if given, and whether the list came bare.

    A total that cannot be one is None: negative, fewer than this answer holds, more than offsets
    can reach, or no number. Half a surrogate pair makes a whole page unreadable, so halves are
    hidden where there are any: the record around one is then bad alone.
    """
    try:
        found = _split(body)
    except Undecodable:
        hidden = _ESCAPE.sub(lambda m: _HIDDEN + m[1] if m[1] else m[0], body)
        if hidden == body:
            raise
        found = _split(hidden)
    items, total, listed = found
    if total is not None and not len(items) <= total <= _LARGEST_TOTAL:
        return items, None, listed
    return found


def _split(body: bytes) -> tuple[list[msgspec.Raw], int | None, bool]:
    try:
        fast = _ENVELOPE.decode(body)
        if fast.items is not None and fast.totalCount is not None:
            return fast.items, fast.totalCount, False
    except UNREADABLE:
        pass
    try:
        answer: list[msgspec.Raw] | dict[str, msgspec.Raw] = _ANY_LIST.decode(body)
        if isinstance(answer, list):
            return answer, None, True
        by_fold = {fold(key): value for key, value in answer.items()}
        for wrapper in _WRAPPERS:
            if wrapper in by_fold:
                items = _RAW_LIST.decode(by_fold[wrapper]) or []
                return items, _total(by_fold.get("totalcount")), False
    except msgspec.ValidationError:
        raise Undecodable("it is not a list of records in any wrapping we know") from None
    except UNREADABLE:
        raise Undecodable("the body is no complete JSON") from None
    raise Undecodable("it holds no list of records")


def _total(sent: msgspec.Raw | None) -> int | None:
    try:
        return None if sent is None else _TOTAL.decode(sent)
    except UNREADABLE:
        return None


def unmask(text: bytes) -> bytes:
    """Return the text of a bad record as it was sent."""
    return text.replace(_HIDDEN + b"u", b"\\u")
