"""Where in an answer the records are: bare or wrapped, in whatever casing, one bad or none."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import NamedTuple

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
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BRACKET_OR_QUOTE = re.compile(_BRACKET.pattern + rb'|"', re.DOTALL)
#: Levels of nesting; beyond some 900 nothing here can read a value.
_DEEPEST = 500
_TOO_DEEP = b'"' + _HIDDEN + b'<nested too deep>"'
#: How a record in base64 begins; and levels, wrappers and the list itself, around a record.
_MASKED = b'"' + _HIDDEN + b"="
_WRAPPED = 3


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


class Unwrapped(NamedTuple):
    """The records of an answer.

    Attributes:
        items: each record's text.
        total: the list's length as the service counts it, None where it does not say.
        listed: the list came bare.
        hidden: some of what could not be read was replaced, see `unwrap`.
    """

    items: list[msgspec.Raw]
    total: int | None
    listed: bool
    hidden: bool = False


def unwrap(body: bytes) -> Unwrapped:
    """Return the records, the total if given, and whether the list came bare.

    A total that cannot be one is None: negative, fewer than this answer holds, more than offsets
    can reach, or no number. Half a surrogate pair, a value nested too deep, or anything that is no
    JSON (``NaN``, a line break in a text) makes a whole page unreadable, so these are hidden where
    there are any: the record around one is then bad alone.
    """
    try:
        found = _split(body)
    except Undecodable:
        hidden = _hide_deep(_ESCAPE.sub(lambda m: _HIDDEN + m[1] if m[1] else m[0], body))
        try:
            found = _split(hidden)
        except Undecodable:
            found = _split(_hide_records(hidden))
        found = found._replace(hidden=True)
    if found.total is not None and not len(found.items) <= found.total <= _LARGEST_TOTAL:
        return found._replace(total=None)
    return found


def _hide_deep(body: bytes) -> bytes:
    """Replace every value below the deepest level that is read by text that cannot be read."""
    depth, kept_to, kept = 0, 0, []
    for token in _BRACKET.finditer(body):
        if token[0] in b"[{":
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(body[kept_to : token.start()])
        elif token[0] in b"]}":
            if depth == _DEEPEST + 1:
                kept.append(_TOO_DEEP)
                kept_to = token.end()
            depth -= 1
    return b"".join((*kept, body[kept_to:])) if kept else body


def _hide_records(body: bytes) -> bytes:
    """Replace every record that is no JSON by its text in another form, which is no JSON either.

    Records are objects in a list that lies bare or in a wrapper. A body that is cut short stays
    as it is, since its last record has no end.
    """
    opened: list[bytes] = []
    begun, level, kept_to, kept = 0, 0, 0, []
    for token in _BRACKET.finditer(body):
        mark = token[0]
        if mark in (b"[", b"{"):
            if not level and mark == b"{" and opened[-1:] == [b"["] and len(opened) <= _WRAPPED:
                begun, level = token.start(), len(opened) + 1
            opened.append(mark)
        elif mark in (b"]", b"}"):
            if level == len(opened) > 0:
                record = body[begun : token.end()]
                if not _is_json(record):
                    kept += [body[kept_to:begun], _MASKED, b64encode(record), b'"']
                    kept_to = token.end()
                level = 0
            del opened[-1:]
    return b"".join((*kept, body[kept_to:]))


def is_closed(body: bytes) -> bool:
    """Whether a text is one object or list to its end, JSON or not: it was not cut short."""
    depth, text = 0, body.strip()
    for token in _BRACKET_OR_QUOTE.finditer(text):
        if token[0] == b'"':
            return False  # a text without an end
        depth += (token[0] in b"[{") - (token[0] in b"]}")
        if depth == 0:
            return text[:1] in (b"[", b"{") and token.end() == len(text)
    return False


def _is_json(record: bytes) -> bool:
    try:
        msgspec.json.decode(record)
    except UNREADABLE:
        return False
    return True


def _split(body: bytes, *, is_outermost: bool = True) -> Unwrapped:
    """Return the records of a list, bare, wrapped, or wrapped once more.

    Raises:
        Undecodable: it is no list in any wrapping we know.
    """
    try:
        fast = _ENVELOPE.decode(body)
        if fast.items is not None and fast.totalCount is not None:
            return Unwrapped(fast.items, fast.totalCount, False)
    except UNREADABLE:
        pass
    try:
        answer: list[msgspec.Raw] | dict[str, msgspec.Raw] = _ANY_LIST.decode(body)
        if isinstance(answer, list):
            return Unwrapped(answer, None, True)
        by_fold = {fold(key): value for key, value in answer.items()}
        for wrapper in _WRAPPERS:
            if wrapper in by_fold:
                inner = by_fold[wrapper]
                if is_outermost and bytes(inner).lstrip().startswith(b"{"):
                    return _split(bytes(inner), is_outermost=False)
                items = _RAW_LIST.decode(inner) or []
                return Unwrapped(items, _total(by_fold.get("totalcount")), False)
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
    if text.startswith(_MASKED):
        text = b64decode(text[len(_MASKED) : -1])
    return text.replace(_HIDDEN + b"u", b"\\u")
