"""What one pass over a list saw, and what the passes of a scan prove.

Pure: pages go in (`Pass`), facts come out: which ids were seen, and whether the pages fitted each
other. `Proof` says whether a pass holds together, and when another one would not help.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from datetime import datetime

import numpy as np
import numpy.typing as npt

from hatif.clock import parse_time
from hatif.errors import ForeignRecords
from hatif.sink import KNOWN_UNPROVEN, PassState
from hatif.streams import Stream
from hatif.wire import Page


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


MAX_PASSES = 6
#: Records without ids that a list of more must begin with to show a changed API.
_ENOUGH_FOREIGN = 10


def check_ids(stream: Stream, parent: str | None, this: Pass, page: Page, unreadable: int) -> None:
    """Stop where a list begins with records without ids: a changed API, not an empty list.

    One bad record that is all there is beneath a parent, a few at the end of a list, or few of
    many, as small pages show them, are no such sign: they are set aside like any others.

    Args:
        stream: of the list.
        parent: that it hangs on.
        this: the pass so far, with `page` its latest.
        page: for the list's length.
        unreadable: rows of the pass that did not come at all.

    Raises:
        ForeignRecords: there are as many as prove it.
    """
    if this.records:
        return
    received = this.received - unreadable
    few_of_many = page.total is not None and received < min(page.total, _ENOUGH_FOREIGN)
    if received < (2 if parent else 1) or few_of_many:
        return
    raise ForeignRecords(
        f"{stream.name}: {received} records came from {stream.list_path(parent)} and not one has "
        f"the id “{stream.id_key}”. The API has changed; nothing was taken from this page"
    )


class Proof:
    """Evaluates the passes of one scan.

    Args:
        stream: of the list.
        passed_over: rows that the service cannot deliver, in words; grows while pages are read.
        setbacks: readings of this list in a row that ended unproven, before this one.
    """

    def __init__(self, stream: Stream, passed_over: list[str], setbacks: int) -> None:
        self._stream = stream
        self._passed_over = passed_over
        self._known = setbacks >= KNOWN_UNPROVEN
        self._seen: npt.NDArray[np.int64] | None = None

    def holds(self, this: Pass, before: Pass | None, *, whole: bool) -> bool:
        """Whether a pass met all that lives; `whole` when it was read to the list's end."""
        if this.moved_forward or this.stuck or this.holes or self._passed_over:
            return False
        if not whole:
            return True
        marks = this.marks
        if this.pages == 1 and this.total_last in (None, this.positions):
            return True  # one answer is one moment: nothing could move, and all of it is here
        if not this.counted:
            return before is not None and this.repeats_as(before)
        if this.pages == 1:
            return this.received == len(marks)
        if self._stream.order is not None and this.shows_order and this.out_of_reach is None:
            return True
        return before is not None and before.counted and np.array_equal(marks, before.marks)

    def why_no_more(self, this: Pass, before: Pass | None) -> str | None:
        """Why another pass would prove no more, in words; None where it may.

        A list that ended unproven several times before is read until all that the service counts
        was seen, and at most twice.
        """
        total = this.total_last
        if self._passed_over:
            count = len(self._passed_over)
            rows = "1 row" if count == 1 else f"{count} rows"
            return f"passed over {rows} that the service cannot deliver: " + "; ".join(
                self._passed_over[:3]
            )
        if this.out_of_reach is not None and not (this.counted and this.number == 1):
            return f"read {len(this.marks):,} of {total} records; {this.out_of_reach}"
        if before is not None and this.holes and before.holes:
            return f"pages from row {this.holes[0]:,} on came empty amid the list, twice"
        self._seen = this.marks if self._seen is None else np.union1d(self._seen, this.marks)
        seen = len(self._seen)
        if this.number >= MAX_PASSES or (self._known and (this.number > 1 or seen == total)):
            return self._what_is_known(this, seen)
        alike = before is not None and np.array_equal(this.marks, before.marks)
        if alike and before is not None and total == before.total_last and not this.counted:
            return self._what_is_known(this, seen)
        return None

    def _what_is_known(self, this: Pass, seen: int) -> str:
        passes = f"{this.number} passes" if this.number > 1 else "1 pass"
        if seen == this.total_last:
            return (
                f"all {seen:,} records that the service counts were seen, in {passes}, never in one"
            )
        counts = "no total" if this.total_last is None else f"{this.total_last:,}"
        return f"{seen:,} records were seen in {passes}; the service counts {counts}"
