"""From the bytes of a file to its units: bodies or envelopes, a limited number at a time.

Lines come in pieces as long as there are any, so that memory does not grow with the file, however
much a compressed one expands (`Packed`: gzip and Zstandard, several members or frames in a row). A
piece records how far the file has been read with it, and the hash of all up to there: enough to
resume later, and to know that it still is the same file.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol, cast

import zstandard

from hatif.webhooks import json_text
from hatif.webhooks.reasons import Reason
from hatif.webhooks.sources import Format, format_of
from hatif.webhooks.validate import SHOWN, Oversized

# JSON shrinks to a tenth; what shrinks to a two-hundredth is no collection of events.
_EXPANSION = 200
_EXPANSION_FREE = 64 << 20
_CHUNK = 1 << 18
# So little at a time, since all that it expands to is held.
_SIP = 1_024
#: The longest window there is, 2 GiB; only what a frame makes use of is held.
_WINDOW = 1 << 31


class _Counting(Protocol):
    count: int

    def read(self, size: int, /) -> bytes: ...


class Packed:
    """A compressed stream as its content, as far as that can be had.

    Args:
        raw: the stream, which counts what was read of it.
        packing: gz or zst.

    Attributes:
        problem: why there is no more, where that was not the end.
        cut: the compressed data ends too early, so there may be more one day.
    """

    def __init__(self, raw: _Counting, packing: str) -> None:
        self._raw = raw
        self._given = 0
        self.problem: Reason | None = None
        self.cut = False
        self._read: Callable[[int], bytes]
        if packing == "gz":
            self._read = gzip.GzipFile(fileobj=cast("BinaryIO", raw)).read1
        else:
            self._read = _Frames(raw).read

    def read(self, size: int, /) -> bytes:
        """Return some content, nothing at its end."""
        if self.problem or self.cut:
            return b""
        try:
            chunk = self._read(size)
        except EOFError:
            self.cut = True
            return b""
        except (OSError, zlib.error, zstandard.ZstdError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the data's
            self.problem = Reason.CORRUPT
            return b""
        self._given += len(chunk)
        if self._given > _EXPANSION_FREE + _EXPANSION * self._raw.count:
            self.problem = Reason.BOMB
            return b""
        return chunk


class _Frames:
    """Zstandard frames, whatever their window."""

    def __init__(self, raw: _Counting) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._held = b""
        self._at = 0

    def read(self, _: int, /) -> bytes:
        """Return some content, nothing at the end of the last frame.

        Raises:
            EOFError: the stream ends within a frame.
            ZstdError: it is no Zstandard.
        """
        while sip := self._sip():
            frame = self._frame or self._decompressor.decompressobj()
            self._frame = frame
            content = frame.decompress(sip)
            if frame.eof:
                self._at -= len(frame.unused_data)
                self._frame = None
            if content:
                return content
        if self._frame is not None:
            raise EOFError
        return b""

    def _sip(self) -> bytes:
        if self._at == len(self._held):
            self._held, self._at = self._raw.read(_CHUNK), 0
        sip = self._held[self._at : self._at + _SIP]
        self._at += len(sip)
        return sip


#: A line beyond this is thrown away unread: a body of 1 MiB in an envelope that escapes each
#: byte of it in six needs no more.
LONGEST_LINE = 8 << 20
#: A whole ``.json`` file is read at once; arrays beyond this belong into NDJSON.
LARGEST_DOCUMENT = 64 << 20
_UNITS = 2_000
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Piece(NamedTuple):
    """Some units in a row.

    Attributes:
        units: bodies or envelopes.
        bytes_read: of the file, up to the end of these units.
        content_hash: SHA-256 of that much.
        whole: all there is has been read, or all that can be.
        resumable: reading can go on from `bytes_read`.
        problem: why the rest cannot be read.
        unfinished: what comes after the last unit and ends too early, as it seems: the file may
            be growing. Empty where compressed data just ends; None where nothing is missing.
    """

    units: list[bytes]
    bytes_read: int
    content_hash: str
    whole: bool = False
    resumable: bool = False
    problem: Reason | None = None
    unfinished: bytes | None = None


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def prefix_hash(stream: BinaryIO, length: int) -> tuple[_Hash, str]:
    """Read the first `length` bytes; return the hash to go on with, and its value."""
    digest = hashlib.sha256()
    while length and (chunk := stream.read(min(length, _CHUNK))):
        digest.update(chunk)
        length -= len(chunk)
    return digest, digest.hexdigest()


def pieces(
    stream: BinaryIO, path: str, *, at: int = 0, digest: _Hash | None = None
) -> Iterator[Piece]:
    """Yield the units of a file; the last piece is marked as such.

    Args:
        stream: at byte `at`.
        path: its name gives the format.
        at: where to go on in a file that was read to here.
        digest: of what is before.

    Raises:
        OSError: the file cannot be read.
    """
    digest = digest or hashlib.sha256()
    form = format_of(path) or Format(is_lines=True, packing=None)
    if form.can_resume:
        return _growing_lines(stream, at, digest)
    raw = _Counted(stream, at, digest)
    if form.packing is None:
        return _document(raw, raw)
    packed = Packed(raw, form.packing)
    return _packed_lines(packed, raw) if form.is_lines else _document(packed, raw)


class _Counted:
    """A stream that counts and hashes what is read of it."""

    def __init__(self, stream: BinaryIO, at: int, digest: _Hash) -> None:
        self._stream = stream
        self._digest = digest
        self.count = at

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(size if size >= 0 else _CHUNK)
        self.count += len(chunk)
        self._digest.update(chunk)
        return chunk

    def so_far(self, units: list[bytes]) -> Piece:
        """Return a piece in the middle."""
        return Piece(units, self.count, self._digest.hexdigest())

    def end(
        self,
        problem: Reason | None = None,
        units: list[bytes] | None = None,
        unfinished: bytes | None = None,
    ) -> Piece:
        """Return the last piece, with the hash of everything."""
        while self.read(_CHUNK):
            continue
        value = self._digest.hexdigest()
        return Piece(units or [], self.count, value, True, False, problem, unfinished)


class _Lines:
    """Text taken apart at line ends, some lines at a time.

    Yields lines with the text they took; where a line is too long to be held, the values in it are
    taken one by one. A value too long to be held comes as text without lines, and then what shows
    that there was one.

    Args:
        source: of the text.
        first: what was read of it before.

    Attributes:
        rest: what came after the last line end, empty where that is too long to be held.
        dropped: what shows of that, None where it is not too long.
    """

    def __init__(self, source: _Source, first: bytes = b"") -> None:
        self._source = source
        self._first = first
        self.rest = b""
        self.dropped: Oversized | None = None

    def __iter__(self) -> Iterator[tuple[list[bytes], bytes]]:
        chunk = self._first or self._source.read(_CHUNK)
        while chunk:
            data = self.rest + chunk
            end = data.rfind(b"\n") + 1
            self.rest = data[end:]
            if self.dropped is not None and end:
                first = data.index(b"\n") + 1
                yield [self.dropped], data[:first]
                data, end, self.dropped = data[first:], end - first, None
            yield from _in_parts(data[:end])
            if self.dropped is None and len(self.rest) > LONGEST_LINE:
                units, used = _whole_values(self.rest)
                yield units, self.rest[:used]
                self.rest = self.rest[used:]
            if self.dropped is not None or len(self.rest) > LONGEST_LINE:
                self.dropped = self.dropped or Oversized(self.rest[:SHOWN])
                yield [], self.rest
                self.rest = b""
            chunk = self._source.read(_CHUNK)


def _whole_values(text: bytes) -> tuple[list[bytes], int]:
    """Return the values at the beginning of half a line, and how much of it they take."""
    if not text.lstrip().startswith(b"{"):
        return [], 0
    values = json_text.split(text)
    whole = list(itertools.takewhile(json_text.is_object, values.units))
    if len(whole) == len(values.units):
        return whole, values.end
    return whole, values.starts[len(whole)]


def _in_parts(text: bytes) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield the lines of whole lines of text."""
    lines = text.split(b"\n")[:-1]
    for start in range(0, len(lines), _UNITS):
        part = lines[start : start + _UNITS]
        yield part, text if len(part) == len(lines) else b"\n".join(part) + b"\n"


def _units(lines: list[bytes]) -> list[bytes]:
    """Leave out empty lines, and the space around the others."""
    return [
        unit for line in lines if (unit := line if isinstance(line, Oversized) else line.strip())
    ]


def _growing_lines(stream: BinaryIO, at: int, digest: _Hash) -> Iterator[Piece]:
    """Read up to the last line end, or to the end of the last whole value behind it."""
    first = stream.read(_CHUNK)
    if at == 0 and first.startswith(_UTF16_MARKS):
        digest.update(first)
        yield _Counted(stream, len(first), digest).end(Reason.BAD_ENCODING)
        return
    lines = _Lines(stream, first)
    read, last = at, Piece([], at, digest.hexdigest(), whole=True, resumable=True)
    for found, text in lines:
        digest.update(text)
        if read == 0 and found:
            found[0] = found[0].removeprefix(_UTF8_MARK)
        read += len(text)
        if found:
            last = Piece([], read, digest.hexdigest(), whole=True, resumable=True)
            yield last._replace(units=_units(found), whole=False)
    if read > last.bytes_read:  # the end of a line too long to be held is missing
        yield last._replace(unfinished=b"")
        return
    rest = lines.rest
    mark = len(_UTF8_MARK) if read == 0 and rest.startswith(_UTF8_MARK) else 0
    units, used = _whole_values(rest[mark:])
    if units:
        used += mark
        digest.update(rest[:used])
        last = Piece(units, read + used, digest.hexdigest(), whole=True, resumable=True)
    rest = rest[used:]
    yield last._replace(unfinished=rest if rest.strip() else None)


def _packed_lines(packed: Packed, raw: _Counted) -> Iterator[Piece]:
    first = packed.read(_CHUNK)
    while 0 < len(first) < len(_UTF8_MARK) and (more := packed.read(_CHUNK)):
        first += more
    if first.startswith(_UTF16_MARKS):
        yield raw.end(Reason.BAD_ENCODING)
        return
    lines = _Lines(packed, first.removeprefix(_UTF8_MARK))
    for found, _ in lines:
        if found:
            yield raw.so_far(_units(found))
    if not (packed.cut or packed.problem):
        yield raw.end(None, _units([lines.rest if lines.dropped is None else lines.dropped]))
        return
    units, used = _whole_values(lines.rest)
    yield raw.end(packed.problem, units, lines.rest[used:] if packed.cut else None)


def _document(source: _Source, raw: _Counted) -> Iterator[Piece]:
    """Read a whole file: a body, an envelope, an array of them, or several in a row."""
    parts: list[bytes] = []
    held = 0
    while held <= LARGEST_DOCUMENT and (chunk := source.read(_CHUNK)):
        parts.append(chunk)
        held += len(chunk)
    if held > LARGEST_DOCUMENT:
        yield raw.end(None, [Oversized(parts[0][:SHOWN])])
        return
    text = b"".join(parts)
    parts.clear()
    problem = source.problem if isinstance(source, Packed) else None
    is_cut = isinstance(source, Packed) and source.cut
    if text.startswith(_UTF16_MARKS):
        yield raw.end(Reason.BAD_ENCODING)
        return
    values = json_text.split_document(text)
    units = iter(values.units)
    while some := list(itertools.islice(units, _UNITS)):
        yield raw.so_far(some)
    unfinished = values.unfinished
    if is_cut and unfinished is None:
        unfinished = b""
    yield raw.end(problem, None, None if problem else unfinished)
