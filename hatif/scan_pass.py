"""What one pass over a list saw: which ids, and whether its pages fitted each other.

Pure: pages go in, facts come out. What they prove is for `hatif.scan` to say.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

import numpy as np
import numpy.typing as npt

from hatif.calibration import parse_time
from hatif.wire import Page


@dataclass
class PassState:
    """All that must be kept of a pass for a later run to go on with it, but for the ids it saw.

    Attributes:
        number: counts from 1.
        first: what stood on its first page.
        top_key: the order's key of its very first row, as sent; `last_key` of its latest.
        moved_forward: rows behind came nearer: something before was removed.
        moved_back: rows behind went further: something arrived in front.
        ordered: every row kept the order.
        rejects: bad records, alike ones counted.
    """

    number: int
    first: list[str] = field(default_factory=list)
    top_key: str | None = None
    last_key: str | None = None
    moved_forward: bool = False
    moved_back: bool = False
    ordered: bool = True
    pages: int = 0
    received: int = 0
    records: int = 0
    total_first: int | None = None
    total_last: int | None = None
    rejects: dict[str, int] = field(default_factory=dict)


class Pass(PassState):
    """The ledger of one pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.holes: list[int] = []  # offsets of empty pages amid the list
        self.out_of_reach: str | None = None  # why the list could not be read deeper
        self.positions = 0  # rows passed, overlaps counted once
        self.stuck = False  # the service gives the same rows again, from whatever offset
        self._marks = array("q")
        self._sorted: tuple[int, npt.NDArray[np.int64]] | None = None

    @classmethod
    def resumed(cls, state: PassState, ids: Iterable[str]) -> Pass:
        """Return the pass as it stood after the page that `state` was taken at."""
        this = cls(state.number)
        vars(this).update(asdict(state))
        this._marks.extend(map(hash, ids))
        for mark, count in state.rejects.items():
            this._marks.extend(hash(f"{mark}#{n}") for n in range(1, count + 1))
        return this

    @property
    def state(self) -> PassState:
        """What `resumed` needs."""
        kept = {f.name: getattr(self, f.name) for f in fields(PassState)}
        return PassState(**kept | {"rejects": dict(self.rejects)})

    def take(self, page: Page, expected: list[str]) -> None:
        """Enter a page whose first rows should be `expected`, the last rows of the page before."""
        if self.pages == 0:
            self.first = page.sequence
            self.total_first = page.total
            self.top_key = next(iter(page.order_keys), None)
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
        self._marks.extend(map(hash, self._disambiguate_rejects(fresh) if page.rejects else fresh))

    def close(self, page: Page) -> None:
        """Enter one more look at the first page: what arrived meanwhile stands there."""
        self.total_last = page.total
        # Pages may have become shorter meanwhile.
        if not page.sequence or page.sequence != self.first[: len(page.sequence)]:
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
            marks = np.sort(np.frombuffer(self._marks, dtype=np.int64))
            # numpy.unique takes twice as long over 200 ids, and twenty times over 20,000.
            self._sorted = len(marks), marks[np.diff(marks, prepend=~marks[:1]) != 0]
        return self._sorted[1]

    def is_below(self, bound: datetime) -> bool:
        """Whether the rows have come, in their order, to one that lies before `bound`."""
        last = parse_time(self.last_key) if self.ordered and self.last_key else None
        return last is not None and last < bound

    @property
    def top(self) -> datetime | None:
        """The order's key of the very first row."""
        return parse_time(self.top_key) if self.top_key else None

    @property
    def shows_order(self) -> bool:
        """Whether the rows kept the list's order, and differed so that it means something."""
        return self.ordered and self.top_key != self.last_key

    @property
    def counted(self) -> bool:
        """Whether as many were seen as the service counts, where it does.

        Where the first page came without a total that can be one, later ones mean nothing.
        """
        return self.total_first is None or self.total_last in (None, len(self.marks))

    def repeats_as(self, before: Pass) -> bool:
        """Whether the same ids stood at the same places, some twice, and the places are counted.

        A join in the service can show a record at several places, and count them all.
        """
        return (
            self.quiet
            and before.quiet
            and self.total_last == self.positions == before.positions == before.total_last
            and self._marks == before._marks
        )

    def take_beyond(self, page: Page, *, descending: bool, counts: bool) -> bool:
        """Enter a page reached by another order or by a filter; return whether it keeps its order.

        Args:
            page: whose rows may have been seen before.
            descending: the order.
            counts: its total is that of the whole list. If not, it goes on from the deepest row.
        """
        keys = page.order_keys if descending else page.order_keys[::-1]
        ordered, last = self.ordered, self.last_key
        self.ordered = True
        self._check_order(keys)
        kept, deepest = self.ordered, self.last_key
        self.ordered, self.last_key = ordered, last
        if not kept or not page.received:
            return False
        self.pages += 1
        self.received += page.received
        if counts:
            self.total_last = page.total
        else:
            self.last_key = deepest
        self._marks.extend(map(hash, page.sequence))
        return True

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
        self.last_key = last or self.last_key

    def _disambiguate_rejects(self, sequence: list[str]) -> Iterator[str]:
        """Number bad records that look alike: having no ids, they would count as one."""
        for mark in sequence:
            if _is_reject(mark):
                self.rejects[mark] = self.rejects.get(mark, 0) + 1
                yield f"{mark}#{self.rejects[mark]}"
            else:
                yield mark


def _is_reject(mark: str) -> bool:
    return mark.startswith("reject:")


def _earlier(one: str, other: str) -> bool:
    if one >= other:
        return False
    times = parse_time(one), parse_time(other)
    return times[0] is None or times[1] is None or times[0] < times[1]
