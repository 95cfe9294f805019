"""JSON text taken apart into its values, also where something in it is broken or missing.

Offsets are those of bytes: the text is read as Latin-1, in which each byte is one character and
nothing that gives JSON its structure looks different.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import msgspec

from hatif.envelope import UNREADABLE

_DECODER = json.JSONDecoder()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_GAP = re.compile(r"[ \t\r\n,]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|["\[{\]}]', re.DOTALL)
_NEXT_LINE = re.compile(r"\r?\n(?=[{\[])|\Z")
_LINE_END = re.compile(r"\r?\n|\Z")
_UTF8_MARK = b"\xef\xbb\xbf"


class Values(NamedTuple):
    """The values in a text.

    Attributes:
        units: whole values, byte for byte, the broken ones among them too.
        end: where what follows the last of them begins.
        unfinished: that rest, the beginning of a value; None where there is none.
    """

    units: list[bytes]
    end: int
    unfinished: bytes | None


def is_object(text: bytes) -> bool:
    """Return whether this is one whole JSON object, so that nothing can follow it on its line."""
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        return False
    return True


def split(text: bytes) -> Values:
    """Take apart values that follow each other, with or without space or commas between."""
    return _split(text.decode("latin-1"), 0, in_array=False)


def split_document(text: bytes) -> Values:
    """Take apart a document: one value, an array's elements, or values that follow each other."""
    text = text.removeprefix(_UTF8_MARK)
    if not text.lstrip().startswith(b"["):
        return Values([text], len(text), None) if is_object(text) else split(text)
    try:
        return Values(list(map(bytes, _ARRAY.decode(text))), len(text), None)
    except UNREADABLE:
        characters = text.decode("latin-1")
        return _split(characters, characters.index("[") + 1, in_array=True)


def _split(text: str, at: int, *, in_array: bool) -> Values:
    units: list[bytes] = []
    while True:
        at = _GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == len(text):
            # An array without its end: the last element is whole, and another may come.
            return Values(units, at, b"" if in_array else None)
        if in_array and text[at] == "]":
            at, in_array = at + 1, False
            continue
        end = _end(text, at, in_array=in_array)
        if end is None:
            return Values(units, at, text[at:].encode("latin-1"))
        units.append(text[at:end].rstrip().encode("latin-1"))
        at = end


def _end(text: str, at: int, *, in_array: bool) -> int | None:
    """Return where the value ends that begins at `at`; None where it never does."""
    try:
        return _DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        pass
    if text[at] not in '{["':
        stop = re.compile(r"[,\]\n]|\Z") if in_array else _LINE_END
        return max(_found(stop, text, at), at + 1)
    # A broken value ends where its bracket is closed, or before a line that begins another.
    next_line = _found(_NEXT_LINE, text, at + 1)
    closed = _closed(text, at, next_line)
    return closed or (next_line if next_line < len(text) else None)


def _closed(text: str, at: int, before: int) -> int | None:
    """Return where the bracket or quote at `at` is closed, whatever stands between."""
    depth = 0
    for token in _TOKEN.finditer(text, at, before):
        mark = token[0]
        if mark == '"':
            return None  # text without its end
        depth += 1 if mark in "{[" else -1 if mark in "}]" else 0
        if depth <= 0:
            return token.end()
    return None


def _found(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.search(text, at)
    return match.start() if match else len(text)
