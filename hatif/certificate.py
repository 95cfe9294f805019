"""What a scan found of a list: its verdict, its certificate, and where it stands after a page."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from hatif.scan_pass import PassState
from hatif.wire import Page


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
