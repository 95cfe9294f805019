"""A Bloom filter: a set of fixed size that finds all it holds, and seldom what it does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class BloomFilter:
    """A Bloom filter of digests of 64 bits.

    Args:
        size: base-2 logarithm of its number of bits; 32 at most.
        of_each: bits that are set for each digest.
    """

    def __init__(self, size: int, of_each: int) -> None:
        self._mask = np.uint64((1 << size) - 1)
        self._of_each = of_each
        self._bits = np.zeros(1 << (size - 3), np.uint8)

    def add(self, digests: NDArray[np.uint64]) -> None:
        """Hold digests."""
        for place, bit in self._places(digests):
            np.bitwise_or.at(self._bits, place, bit)

    def finds(self, digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return of each digest whether it may be held; False is certain."""
        found = np.ones(len(digests), np.bool_)
        for place, bit in self._places(digests):
            found &= (self._bits[place] & bit) != 0
        return found

    def _places(
        self, digests: NDArray[np.uint64]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
        """Yield the bits of each digest: which byte, and which bit of it."""
        first, step = digests & np.uint64(0xFFFFFFFF), (digests >> np.uint64(32)) | np.uint64(1)
        for nth in range(self._of_each):
            number = (first + np.uint64(nth) * step) & self._mask
            bit = np.left_shift(np.uint8(1), (number & np.uint64(7)).astype(np.uint8))
            yield (number >> np.uint64(3)).astype(np.intp), bit
