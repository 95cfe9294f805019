"""From the bytes of a file to its units: bodies or envelopes, a limited number at a time.

Lines come in pieces as long as there are any, so that memory does not grow with the file, however
much a compressed one expands. A piece says how far the file has been read with it, and the hash of
all up to there: enough to go on later, and to know that it still is the same file.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol, cast

import msgspec
import pyarrow as pa

from hatif.envelope import UNREADABLE
from hatif.webhooks.reasons import Reason
from hatif.webhooks.validate import SHOWN, Oversized

#: A line beyond this is thrown away unread: a body of 1 MiB in an envelope that escapes each
#: character of its text needs no more.
LONGEST_LINE = 4 << 20
#: A whole ``.json`` file is read at once; arrays beyond this belong into NDJSON.
LARGEST_DOCUMENT = 64 << 20
_CHUNK = 1 << 18
_UNITS = 2_000
# JSON shrinks to a tenth; what shrinks to a two-hundredth is no collection of events.
_EXPANSION = 200
_EXPANSION_FREE = 64 << 20
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


class Piece(NamedTuple):
    """Some units in a row.

    Attributes:
        units: bodies or envelopes.
        bytes_read: of the file, up to the end of these units.
        content_hash: SHA-256 of that much.
        whole: all there is has been read, or all that can be.
        resumable: reading can go on from `bytes_read`.
        problem: why the rest cannot be read.
    """

    units: list[bytes]
    bytes_read: int
    content_hash: str
    whole: bool = False
    resumable: bool = False
    problem: Reason | None = None


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_lines(path: str) -> bool:
    """Tell whether a file holds a unit a line, uncompressed: the kind that can grow."""
    return path.lower().endswith((".ndjson", ".jsonl"))


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
    """Yield the units of a file; the last piece says that it is the last.

    Args:
        stream: at byte `at`.
        path: tells the format.
        at: where to go on in a file that was read to here.
        digest: of what is before.

    Raises:
        OSError: the file cannot be read.
    """
    digest = digest or hashlib.sha256()
    name = path.lower()
    raw = _Counted(stream, at, digest)
    if is_lines(name):
        return _growing_lines(stream, at, digest)
    if name.endswith(".json"):
        return _document(raw, raw)
    packed = _Packed(raw, name)
    return _document(packed, raw) if ".json." in name[-10:] else _packed_lines(packed, raw)


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

    def end(self, problem: Reason | None = None, units: list[bytes] | None = None) -> Piece:
        """Return the last piece, with the hash of everything."""
        while self.read(_CHUNK):
            continue
        return Piece(units or [], self.count, self._digest.hexdigest(), True, False, problem)


class _Packed:
    """A compressed stream as its content, as far as that can be had.

    Attributes:
        problem: why there is no more, where that was not the end.
        cut: the compressed data ends too early, so there may be more one day.
    """

    def __init__(self, raw: _Counted, name: str) -> None:
        self._raw = raw
        self._given = 0
        self.problem: Reason | None = None
        self.cut = False
        if name.endswith(".gz"):
            self._read = gzip.GzipFile(fileobj=cast("BinaryIO", raw)).read1
        else:
            source = pa.PythonFile(_Readable(raw), mode="r")
            self._read = pa.CompressedInputStream(source, "zstd").read

    def read(self, size: int, /) -> bytes:
        """Return some content, nothing at its end."""
        if self.problem or self.cut:
            return b""
        try:
            chunk = self._read(size)
        except EOFError:
            self.cut = True
            return b""
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the data's
            self.cut = "runcated" in str(error)  # Arrow's word for a stream that ends too early
            self.problem = None if self.cut else Reason.CORRUPT
            return b""
        self._given += len(chunk)
        if self._given > _EXPANSION_FREE + _EXPANSION * self._raw.count:
            self.problem = Reason.BOMB
            return b""
        return chunk


class _Readable:
    """What pyarrow wants of a file object."""

    closed = False

    def __init__(self, raw: _Counted) -> None:
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(size)

    def close(self) -> None:
        self.closed = True


class _Lines:
    """Text taken apart at line ends, some lines at a time.

    Yields lines with the text they took; where a line is too long to be held, its text comes in
    parts without lines, and then what tells that there was one.

    Attributes:
        rest: what came after the last line end, empty where that is too long to be held.
    """

    def __init__(self, source: _Source) -> None:
        self._source = source
        self.rest = b""

    def __iter__(self) -> Iterator[tuple[list[bytes], bytes]]:
        dropped: Oversized | None = None
        while chunk := self._source.read(_CHUNK):
            data = self.rest + chunk
            end = data.rfind(b"\n") + 1
            self.rest = data[end:]
            if dropped is not None and end:
                first = data.index(b"\n") + 1
                yield [dropped], data[:first]
                data, end, dropped = data[first:], end - first, None
            yield from _in_parts(data[:end])
            if dropped is not None or len(self.rest) > LONGEST_LINE:
                dropped = dropped or Oversized(self.rest[:SHOWN])
                yield [], self.rest
                self.rest = b""


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


def _growing_lines(stream: _Source, at: int, digest: _Hash) -> Iterator[Piece]:
    """Read up to the last line end, or to the end of a last line that is all there."""
    lines = _Lines(stream)
    read, last = at, Piece([], at, digest.hexdigest(), whole=True, resumable=True)
    for found, text in lines:
        digest.update(text)
        read += len(text)
        if found:
            last = Piece([], read, digest.hexdigest(), whole=True, resumable=True)
            yield last._replace(units=_units(found), whole=False)
    if read == last.bytes_read and _is_object(lines.rest):
        digest.update(lines.rest)
        read += len(lines.rest)
        last = Piece(_units([lines.rest]), read, digest.hexdigest(), whole=True, resumable=True)
    yield last


def _packed_lines(packed: _Packed, raw: _Counted) -> Iterator[Piece]:
    lines = _Lines(packed)
    for found, _ in lines:
        if found:
            yield raw.so_far(_units(found))
    rest = _units([lines.rest])
    if (packed.cut or packed.problem) and not _is_object(lines.rest):
        rest = []  # half a line
    yield raw.end(packed.problem, rest)


def _document(source: _Source, raw: _Counted) -> Iterator[Piece]:
    """Read a whole file: a body, an envelope, or an array of them."""
    parts: list[bytes] = []
    held = 0
    while held <= LARGEST_DOCUMENT and (chunk := source.read(_CHUNK)):
        parts.append(chunk)
        held += len(chunk)
    if held > LARGEST_DOCUMENT:
        yield raw.end(None, [Oversized(parts[0][:SHOWN])])
        return
    if isinstance(source, _Packed) and (source.cut or source.problem):
        yield raw.end(source.problem or Reason.CORRUPT)
        return
    units = _elements(b"".join(parts)) if held else iter(())
    parts.clear()
    while some := list(itertools.islice(units, _UNITS)):
        yield raw.so_far(some)
    yield raw.end()


def _elements(text: bytes) -> Iterator[bytes]:
    """Yield the elements of an array, byte for byte; of anything else the thing itself."""
    if not text.lstrip().startswith(b"["):
        yield text
        return
    try:
        found = _ARRAY.decode(text)
    except UNREADABLE:
        yield from _one_by_one(text)
    else:
        yield from map(bytes, found)


def _one_by_one(text: bytes) -> Iterator[bytes]:
    """Yield the elements of an array with something wrong in it, up to where no end is found."""
    try:
        array = text.decode()
    except UnicodeDecodeError:
        yield text
        return
    start = array.index("[")
    at = _past_space(array, start + 1)
    while True:
        try:
            _, end = _DECODER.raw_decode(array, at)
        except (ValueError, ArithmeticError, RecursionError):
            break
        after = _past_space(array, end)
        mark = array[after : after + 1]
        if mark not in (",", "]", ""):
            break
        yield array[at:end].encode()
        at = _past_space(array, after + 1)
        if mark == "]" and at == len(array):
            return
    yield (array[at:] or array[start : start + 1]).encode()


def _past_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _is_object(text: bytes) -> bool:
    """Tell whether this is all of a JSON object: then nothing can follow on its line."""
    try:
        _OBJECT.decode(text)
    except UNREADABLE:
        return False
    return True
