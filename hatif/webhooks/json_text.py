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
# Possessive: what looks for another end of a long text would keep a state for each character.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[{\]}]', re.DOTALL)
_NEXT_LINE = re.compile(r"\r?\n(?=[{\[])|\Z")
_ELEMENT_END = re.compile(r"[,\]\n]|\Z")
_LINE_END = re.compile(r"\r?\n|\Z")
# Characters that most values do not exceed, and those kept of what was taken apart.
_NEAR = 1 << 11
_KEPT = 1 << 19
_UTF8_MARK = b"\xef\xbb\xbf"


class Values(NamedTuple):
    """The values in a text.

    Attributes:
        units: whole values, byte for byte, the broken ones among them too.
        starts: where each of them begins.
        end: where what follows the last of them begins.
        unfinished: that rest, the beginning of a value; None where there is none.
    """

    units: list[bytes]
    starts: list[int]
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
    return _Splitter(text, 0, in_array=False).split()


def split_document(text: bytes) -> Values:
    """Take apart a document: one value, an array's elements, or values that follow each other."""
    text = text.removeprefix(_UTF8_MARK)
    if not text.lstrip().startswith(b"["):
        return Values([text], [0], len(text), None) if is_object(text) else split(text)
    try:
        return Values(list(map(bytes, _ARRAY.decode(text))), [], len(text), None)
    except UNREADABLE:
        return _Splitter(text, text.index(b"[") + 1, in_array=True).split()


class _Splitter:
    """A text being taken apart, from `at` on, in time that grows with its length alone."""

    def __init__(self, text: bytes, at: int, *, in_array: bool) -> None:
        self._text = text.decode("latin-1")
        self._at = at
        self._dropped = 0
        self._in_array = in_array
        self._next_line = -1

    def split(self) -> Values:
        units: list[bytes] = []
        starts: list[int] = []
        while True:
            if self._at > _KEPT:
                self._drop()
            text = self._text
            at = _GAP.match(text, self._at).end()  # type: ignore[union-attr]  # it can be empty
            if at == len(text):
                # An array without its end: the last element is whole, and another may come.
                rest = b"" if self._in_array else None
                return Values(units, starts, self._dropped + at, rest)
            if self._in_array and text[at] == "]":
                self._at, self._in_array = at + 1, False
                continue
            end = self._end(at)
            if end is None:
                return Values(units, starts, self._dropped + at, text[at:].encode("latin-1"))
            starts.append(self._dropped + at)
            units.append(text[at:end].rstrip().encode("latin-1"))
            self._at = end

    def _whole_end(self, at: int) -> int | None:
        """Return where the whole value ends that begins at `at`; None where it is none."""
        # An error of the decoder costs as much as all the text it was given: try with little.
        near = self._text[at : at + _NEAR]
        end = _decoded(near, 0)
        if end is not None and end < len(near):
            return at + end
        closed = _closed(near, 0, len(near)) if near[0] in '{["' else None
        if closed is not None and closed < len(near):
            return None
        return _decoded(self._text, at)

    def _drop(self) -> None:
        """Drop the text before `at`, in which the decoder counts the lines at every error."""
        self._text = self._text[self._at :]
        self._dropped += self._at
        self._next_line -= self._at
        self._at = 0

    def _end(self, at: int) -> int | None:
        """Return where the value ends that begins at `at`; None where it never does."""
        text = self._text
        end = self._whole_end(at)
        if end is not None:
            return end
        if text[at] not in '{["':
            stop = _ELEMENT_END if self._in_array else _LINE_END
            return max(_found(stop, text, at), at + 1)
        # A broken value ends where its bracket is closed, or before a line that begins another.
        if self._next_line <= at:
            self._next_line = _found(_NEXT_LINE, text, at + 1)
        closed = _closed(text, at, self._next_line)
        return closed or (self._next_line if self._next_line < len(text) else None)


def _decoded(text: str, at: int) -> int | None:
    try:
        return _DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


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
