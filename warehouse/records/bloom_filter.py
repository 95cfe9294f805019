"""A Bloom filter of record ids stored this run: new ids are recognised without a query.

A first sync would look up every batch in all that it has stored itself, and find nothing nearly
always: the more there is, the dearer. A Bloom filter of fixed size answers instead. That a record
is new is certain; that it is known may be an error, and costs a look-up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: 8 MB. A single record taken for known has its batch looked up: one batch in 90 when a million
#: are stored, four in ten at two million, nearly all beyond three.
_BITS = 1 << 26
_PROBES = 6


class StoredIdFilter:
    """The records of a stream that one run has stored, where none had been stored before.

    Args:
        stream: whose records they are.
        top: the largest ``seq`` in ``raw.records``. Where it is another than this run's own
            versions have made it, another writer has stored some, too.
    """

    def __init__(self, stream: str, top: int) -> None:
        self.stream = stream
        self.top = top
        self._bits = np.zeros(_BITS // 8, np.uint8)

    def among(self, record_ids: Sequence[str]) -> list[str]:
        """Return those that may be stored; all others are not."""
        places = _places(record_ids)
        known = np.ones(len(record_ids), np.bool_)
        for probe in places:
            known &= (self._bits[probe >> 3] >> (probe & 7).astype(np.uint8)) & 1 == 1
        return [record_ids[position] for position in np.flatnonzero(known).tolist()]

    def met(self, record_ids: Sequence[str], versions: int) -> None:
        """Note that these were stored, by so many new versions."""
        self.top += versions
        for probe in _places(record_ids):
            np.bitwise_or.at(self._bits, probe >> 3, np.uint8(1) << (probe & 7).astype(np.uint8))


def _places(record_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """The bits of each id, a row a probe."""
    digests = np.fromiter(map(hash, record_ids), np.int64, len(record_ids)).view(np.uint64)
    low, high = digests & np.uint64(0xFFFFFFFF), digests >> np.uint64(32) | np.uint64(1)
    steps = np.arange(_PROBES, dtype=np.uint64)[:, None]
    return ((low + steps * high) & np.uint64(_BITS - 1)).astype(np.int64)
