"""The body of an answer as UTF-8 JSON text, whatever it was packed and encoded in.

A byte order mark, UTF-16 or UTF-32, an old code page named in the Content-Type, or gzip that no
header mentions: each is undone here, so that decoders see UTF-8 alone.
"""

from __future__ import annotations

import codecs
import re
import zlib

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
