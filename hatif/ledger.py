"""What one pass over a list saw: which ids, and whether its pages fitted each other.

Pure: pages go in, facts come out. What they prove is for `hatif.scan` to say.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hatif.calibration import parse_time
from hatif.wire import Page


class Pass:
    """The ledger of one pass; `number` counts from 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first: list[str] = []
        self.moved_forward = False  # rows behind came nearer: something before was removed
        self.moved_back = False  # rows behind went further: something arrived in front
        self.ordered = True
        self.stuck = False  # the service gives the same rows again, wherever it is asked to begin
        self.pages = 0
        self.received = 0
        self.records = 0
        self.total_first: int | None = None
        self.total_last: int | None = None
        self._marks = array("q")
        self._sorted: tuple[int, npt.NDArray[np.int64]] | None = None
        self._rejects: Counter[str] = Counter()

    def take(self, page: Page, expected: list[str]) -> None:
        """Enter a page whose first rows should be `expected`, the last rows of the page before."""
        if self.pages == 0:
            self.first = page.sequence
            self.total_first = page.total
        elif not expected:
            self.ordered = False  # pages of one row cannot overlap: nothing ties them together
        self.pages += 1
        self.received += page.received
        self.records += len(page.ids)
        self.total_last = page.total
        self._compare(page.sequence, expected)
        self._check_order(page.order_keys)
        fits = page.sequence[: len(expected)] == expected
        fresh = page.sequence[len(expected) :] if fits else page.sequence
        self._marks.extend(map(hash, self._told_apart(fresh) if page.rejects else fresh))

    def close(self, page: Page) -> None:
        """Enter one more look at the first page: what arrived meanwhile stands there."""
        self.total_last = page.total
        if page.sequence != self.first:
            where = page.sequence.index(self.first[0]) if self.first[0] in page.sequence else None
            if where is None or page.sequence[where:] != self.first[: len(page.sequence) - where]:
                self.moved_forward = True
            self.moved_back = True
            self._check_order(page.order_keys)
            self._marks.extend(hash(mark) for mark in page.sequence if not _is_reject(mark))

    @property
    def goes_in_circles(self) -> bool:
        """Whether too few of many rows are new; looked at each time the pages have doubled."""
        doubled = self.pages & (self.pages - 1) == 0
        return doubled and self.received > 4 * len(self.marks)

    @property
    def marks(self) -> npt.NDArray[np.int64]:
        """The different ids seen, as sorted hashes: eight bytes each."""
        if self._sorted is None or self._sorted[0] != len(self._marks):
            unique = np.unique(np.frombuffer(self._marks, dtype=np.int64))
            self._sorted = len(self._marks), unique
        return self._sorted[1]

    @property
    def counted(self) -> bool:
        """Whether as many were seen as the service counts, where it does."""
        return self.total_last in (None, len(self.marks))

    @property
    def quiet(self) -> bool:
        """Whether nothing was seen to move."""
        return not (self.moved_forward or self.moved_back)

    def _compare(self, sequence: list[str], expected: list[str]) -> None:
        overlap = len(expected)
        if sequence[:overlap] == expected:
            return
        for shift in range(1, len(sequence) - overlap + 1):
            if sequence[shift : shift + overlap] == expected:
                self.moved_back = True
                return
        self.moved_forward = True

    def _check_order(self, keys: list[str | None]) -> None:
        """Within one page; the overlap carries the order on to the next."""
        last: str | None = None
        for key in keys:
            if key is None or (last is not None and _earlier(last, key)):
                self.ordered = False
                return
            last = key

    def _told_apart(self, sequence: list[str]) -> Iterator[str]:
        """Number bad records that look alike: having no ids, they would count as one."""
        for mark in sequence:
            if _is_reject(mark):
                self._rejects[mark] += 1
                yield f"{mark}#{self._rejects[mark]}"
            else:
                yield mark


def _is_reject(mark: str) -> bool:
    return mark.startswith("reject:")


def _earlier(one: str, other: str) -> bool:
    if one >= other:
        return False
    times = parse_time(one), parse_time(other)
    return times[0] is None or times[1] is None or times[0] < times[1]
