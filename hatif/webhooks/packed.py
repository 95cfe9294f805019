"""Compressed streams as their content: gzip and Zstandard, several members or frames in a row."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

import zstandard

from hatif.webhooks.reasons import Reason

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
