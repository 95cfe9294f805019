"""Between reading and storing: batches, and what a store must be able to do with them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hatif.certificate import Certificate, ScannedPage, Unfinished
from hatif.streams import Stream
from hatif.targets import Target
from hatif.wire import Reject

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

    @property
    def undocumented_keys(self) -> dict[str, str | None]:
        """Undocumented keys, each with the id of a record of the page it was on."""
        return {
            key: next(iter(scanned.page.ids), None)
            for scanned in self.pages
            for key in sorted(scanned.page.undocumented_keys)
        }

    @property
    def rejects(self) -> list[Reject]:
        """The bad records of all pages."""
        return [reject for scanned in self.pages for reject in scanned.page.rejects]


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
        disagreeing: lists read down to an instant whose count then was not what is stored, to
            be read in full.
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
