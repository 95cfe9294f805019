"""Progress of a run, as reported to a listener: a progress bar, a log, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class StreamResult:
    """How one stream went.

    Attributes:
        status: `done`; `unproven` (read, but the list kept moving); `stopped` (the run's requests
            were used up); `unavailable` (the service does not offer it, as a run found out a short
            while ago); `failed`.
        rows_read: different records seen.
        rows_changed: records that differ from what was stored, deletions included.
        deleted: records marked deleted, those that hung on them included.
        rejects: different records set aside; `acknowledged` of them are known and accepted.
        requests: HTTP attempts, without those for tokens.
        backlog: lists that are due and were not read.
        scans: lists read; `repaired` and `unproven` of them ended so, `known_unproven` as they had
            so often before that it is no failure any more.
        time_offset_minutes: see `Calibration.offset_minutes`.
        message: for the user, None when all is well.
    """

    stream: str
    status: str = "done"
    rows_read: int = 0
    rows_changed: int = 0
    deleted: int = 0
    rejects: int = 0
    acknowledged: int = 0
    requests: int = 0
    backlog: int = 0
    scans: int = 0
    repaired: int = 0
    unproven: int = 0
    known_unproven: int = 0
    seconds: float = 0.0
    time_offset_minutes: int | None = None
    message: str | None = None


class Progress(Protocol):
    """Listener to the reading of streams. `unit` is what `total` counts."""

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """A stream begins."""

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """So many more units are done; `total` replaces the one given before."""

    def finished(self, result: StreamResult) -> None:
        """A stream ended, well or not."""


class Quiet:
    """Watches nothing."""

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Say nothing."""

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Say nothing."""

    def finished(self, result: StreamResult) -> None:
        """Say nothing."""
