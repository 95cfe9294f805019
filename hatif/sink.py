"""What passes between the reading of lists and a store.

To the reader: which lists are to be read, why, and how far down (`Plan`, `Target`). To the store:
pages and certificates of scans, gathered into a `Batch`. A store must be able to do what `Sink` and
`Absences` list.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from hatif.streams import Stream
from hatif.wire import Page, Reject

#: Unproven ends in a row after which a list is known not to prove more, and less is spent on it.
KNOWN_UNPROVEN = 3
#: Why a row that fails alone is set aside.
UNREADABLE_ROW = "unreadable_row"


@dataclass(frozen=True, slots=True)
class Target:
    """A list to be read, and why.

    Attributes:
        parent: the record it hangs on; None for the stream's only list.
        reason: `new` (never read), `changed` (by its parent's change signal), `hint` (a webhook
            named it), `requested` (by hand), `step` (something in it may still change),
            `sample` (webhooks have reported all that changed, which this is to prove), `head` (what
            came since), `interval` (its turn to be read in full), `full` (a full sync), `check`
            (to confirm something that was read a moment ago).
        until: the instant down to which it is to be read; None for the whole.
        signal: the parent's change signal now.
        setbacks: readings in a row, before this one, that ended without a certificate.
    """

    parent: str | None
    reason: str
    until: datetime | None = None
    signal: str | None = None
    setbacks: int = 0


class Plan(Protocol):
    """Which lists of a stream are to be read, the most valuable first."""

    @property
    def count(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Target]:
        """Yield them; their number does not matter to memory."""

    def sample(self, most: int) -> Sequence[Target]:
        """Return some of them, spread evenly over the plan."""


class FixedPlan:
    """A plan of lists known by name.

    Args:
        targets: the lists, in order.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._targets)

    def __iter__(self) -> Iterator[Target]:
        """Yield them."""
        return iter(self._targets)

    def sample(self, most: int) -> Sequence[Target]:
        """Return some of them, spread evenly over the plan."""
        step = max(1, len(self._targets) // max(1, most))
        return self._targets[::-step][:most]


class Verdict(StrEnum):
    """What a scan proved."""

    COMPLETE = "complete"
    REPAIRED = "repaired"
    UNPROVEN = "unproven"
    FAILED = "failed"

    @property
    def certified(self) -> bool:
        """Whether absence from the scan means anything."""
        return self in (Verdict.COMPLETE, Verdict.REPAIRED)


@dataclass(slots=True)
class Certificate:
    """One row of ``ops.scans``: what was read, and how far it can be trusted.

    `rows_read` counts all passes and overlaps; `distinct_ids` those of the last pass; `page_size`
    is what a page may hold, as learned by the end of the scan. `whole`: the list was read
    to its end, so that absence can mean something; `began_at` is the service's time at the
    beginning and `top` the order's key of the first row then: what is older has been seen.
    `signal` is the parent's change signal when the scan was planned. `note` is in words why absence
    from the scan proves nothing, or how it was repaired.
    """

    stream: str
    parent_id: str | None
    mode: str
    reason: str = "full"
    began_at: datetime | None = None
    signal: str | None = None
    top: datetime | None = None
    whole: bool = True
    scan_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    requests: int = 0
    rows_read: int = 0
    distinct_ids: int = 0
    total_before: int | None = None
    total_after: int | None = None
    passes: int = 0
    page_size: int | None = None
    verdict: Verdict = Verdict.FAILED
    note: str | None = None


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


@dataclass(frozen=True, slots=True)
class Position:
    """Where a scan stands after a page: the passes that matter, and the place in the last.

    Attributes:
        passes: the pass before, if there was one, and the present one.
        offset: rows passed.
        tail: the last of them, to be met again.
        quiet: nothing was seen to move in the passes before.
        rows_read, requests: spent so far.
        passed_over: rows that the service could not deliver, in words.
    """

    passes: list[PassState]
    offset: int
    tail: list[str]
    quiet: bool
    rows_read: int
    requests: int
    passed_over: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A scan that an earlier run did not end; `seen` gives the ids of one of its passes."""

    certificate: Certificate
    position: Position
    seen: Callable[[int], list[str]]


@dataclass(frozen=True, slots=True)
class ScannedPage:
    """A page on its way to the store, and where the scan stands after it.

    The ids of the pass whose number is the last are the scan's answer.
    """

    certificate: Certificate
    number: int
    page: Page
    position: Position


_OVERFULL = 1.2


@dataclass(slots=True)
class Batch:
    """Pages of one stream and the certificates of the scans that ended with them.

    `again`: these lists have been read before in this run, to confirm an absence.
    """

    stream: Stream
    again: bool = False
    pages: list[ScannedPage] = field(default_factory=list)
    ended: list[Certificate] = field(default_factory=list)
    time_offset_minutes: int | None = None
    rows: int = 0
    size: int = 0
    opened: float = field(default_factory=time.monotonic)
    _going_on: set[str] = field(default_factory=set)

    def add(self, item: ScannedPage | Certificate) -> None:
        """Put in a page, or the certificate of a scan all of whose pages are in or before."""
        if isinstance(item, Certificate):
            self.ended.append(item)
            self._going_on.discard(item.scan_id)
        else:
            self.pages.append(item)
            self.rows += len(item.page.ids)
            self.size += sum(map(len, item.page.payloads))
            self._going_on.add(item.certificate.scan_id)

    def is_full(self, rows: int, size: int) -> bool:
        """Whether so many rows, or bytes of text, are in, and no scan goes on; or a fifth more.

        What is needed to go on with a scan in another batch must be stored, too; lists of a page
        or two are never worth it.
        """
        share = max(self.rows / rows, self.size / size)
        return share >= 1 and (not self._going_on or share >= _OVERFULL)

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self.opened


@dataclass(frozen=True, slots=True)
class Missing:
    """A record that is stored as living but was not in a certified scan of its list."""

    record_id: str
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the evidence against missing records is worth.

    Attributes:
        proven: missed by an earlier run, too, and nothing contradicts it.
        look: one more look at their lists in this run decides.
        wait: too many of a list, or its parent still counts them; a later run decides.
    """

    proven: Sequence[Missing]
    look: Sequence[Missing]
    wait: Sequence[Missing]


@dataclass(frozen=True, slots=True)
class Suspects:
    """Living records that their own addresses must be checked at.

    Attributes:
        held: found to be gone by an earlier run whose brake held.
        orphans: their parent is deleted.
    """

    held: Sequence[str]
    orphans: Sequence[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a batch did.

    Attributes:
        changed: records that differ from what was stored.
        missing: live ones that ended whole scans did not meet.
        rejects: bad ones, set aside.
        disagreeing: lists to be read in full before `missing` is settled: those read down to an
            instant whose count then was not what is stored, and those that may show what another
            list lost.
    """

    changed: int
    missing: Sequence[Missing]
    rejects: Sequence[Reject]
    disagreeing: Sequence[Target] = ()


@dataclass(frozen=True, slots=True)
class ListFailure:
    """A list that could not be read while others could, and why in words."""

    parent_id: str | None
    message: str


class Sink(Protocol):
    """Where records go. All calls block; each that writes is one transaction."""

    def unfinished(self, stream: Stream) -> dict[str | None, Unfinished]:
        """Return the scans of whole lists that earlier runs did not end, by parent."""

    def load(self, batch: Batch) -> Loaded:
        """Store what changed; the batch is used up."""

    def note_failures(self, stream: Stream, failed: Sequence[ListFailure], now: datetime) -> None:
        """Keep which lists failed, so that they are tried again later and ever more seldom."""


class Absences(Protocol):
    """What is known of missing records, and their deletion. All calls block, as those of `Sink`."""

    def still_missing(self, stream: Stream, missing: Sequence[Missing]) -> Sequence[Missing]:
        """Return those that no other list of the stream has shown meanwhile."""

    def weigh(self, stream: Stream, missing: Sequence[Missing]) -> Weighed:
        """Return what the evidence against records without addresses of their own is worth."""

    def suspects(self, stream: Stream) -> Suspects:
        """Return the living records that must be checked at, whatever the lists show."""

    def note_absent(
        self, stream: Stream, records: Sequence[Missing], proof: str | None = None
    ) -> None:
        """Keep evidence for later runs: `gone`, `alive`, or None for absent from a list."""

    def keep_count(self, stream: Stream, missing: Sequence[Missing]) -> None:
        """Expect these records to stay stored though their lists lack them."""

    def brake(self, stream: Stream, deletions: int, share: float | None) -> None:
        """Raise BrakeHeld when that many deletions are more than the share allows."""

    def mark_deleted(
        self, stream: Stream, record_ids: Sequence[str], share: float | None
    ) -> dict[str, int]:
        """Mark records deleted with all that hang on them; return how many, by stream."""
