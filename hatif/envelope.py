"""The body of an answer as JSON texts, one a record, whatever it was packed and wrapped in.

First the body becomes UTF-8 (`utf8_body`): a byte order mark, UTF-16 or UTF-32, an old code page
named in the Content-Type, or gzip that no header mentions is undone. Then the records are found
(`unwrap`): bare or wrapped, in whatever casing, one bad or none.
"""

from __future__ import annotations

import codecs
import re
import zlib
from base64 import b64decode, b64encode
from typing import NamedTuple

import msgspec

from hatif.errors import Undecodable

_GZIP = b"\x1f\x8b"
_MOST_UNPACKED = 256 << 20  # bytes: many times the largest page
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PLAIN = frozenset({"utf-8", "ascii"})
_JSON_BEGINS = b'{[ \t\r\n"'


def utf8_body(content: bytes, content_type: str) -> bytes:
    """Return the body as UTF-8 without a byte order mark.

    Args:
        content: as received, content encoding undone.
        content_type: the header, empty where there is none.

    Raises:
        Undecodable: it is not what its marks or headers say.
    """
    if content[:1] in _JSON_BEGINS and b"\x00" not in content[:4] and not content_type:
        return content
    if content.startswith(_GZIP):
        content = _unpacked(content)
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _recoded(content[len(mark) :], encoding)
    return _recoded(content, _by_its_nulls(content) or _named(content_type))


def is_web_page(content: bytes, content_type: str) -> bool:
    """Whether the body is HTML, such as a login or waiting page, rather than data."""
    head = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"<") or (
        "text/html" in content_type.lower() and not head.startswith((b"{", b"["))
    )


def _unpacked(content: bytes) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        text = unpack.decompress(content, _MOST_UNPACKED)
    except zlib.error:
        raise Undecodable("the body is gzip and broken") from None
    if not unpack.eof:
        raise Undecodable("the body is gzip and cut short, or larger than any page")
    return text


def _by_its_nulls(content: bytes) -> str | None:
    """JSON begins with two ASCII characters, so the place of null bytes shows the encoding."""
    nulls = [byte == 0 for byte in content[:4]]
    if len(nulls) < 4 or not any(nulls):
        return None
    shapes = {
        (True, True, True, False): "utf-32-be",
        (False, True, True, True): "utf-32-le",
        (True, False, True, False): "utf-16-be",
        (False, True, False, True): "utf-16-le",
    }
    return shapes.get((nulls[0], nulls[1], nulls[2], nulls[3]))


def _named(content_type: str) -> str:
    named = _CHARSET.search(content_type)
    try:
        return codecs.lookup(named[1]).name if named else "utf-8"
    except LookupError:
        return "utf-8"  # an unknown name is no reason to refuse what is UTF-8 all the same


def _recoded(content: bytes, encoding: str) -> bytes:
    if encoding in _PLAIN:
        return content
    if encoding != "utf-8" and _is_utf8_json(content, encoding):
        return content
    try:
        return content.decode(encoding).encode()
    except (UnicodeError, LookupError):
        raise Undecodable(f"the body is not the {encoding} it claims to be") from None


def _is_utf8_json(content: bytes, encoding: str) -> bool:
    """Whether a body declared to be in a code page is UTF-8 all the same: a wrong header.

    Text of a code page with letters beyond ASCII is hardly ever valid UTF-8 by chance.
    """
    if encoding.startswith(("utf-16", "utf-32")):
        return content[:1] in _JSON_BEGINS and b"\x00" not in content[:4]
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


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
_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
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
