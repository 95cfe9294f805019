"""What the passes of a scan prove: whether one holds together, and when another would not help."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hatif.errors import ForeignRecords
from hatif.scan_pass import Pass
from hatif.streams import Stream
from hatif.wire import Page

MAX_PASSES = 6
#: Unproven ends in a row after which a list is known not to prove more, and less is spent on it.
KNOWN_UNPROVEN = 3
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
