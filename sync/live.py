"""Webhook files worked off as they come, by one process that keeps the lake open.

It does what `sync.run.compute` does, each time for the files that differ from its last look; a few
deliveries in one transaction. The checks of whole tables take seconds of a large warehouse, so they
are made after the first deliveries and then every ten minutes while there are more; each pass makes
the one that blocks the marts, of the conversations it computes.

One works at a time in a home (`locks.LIVE`). Whatever else reads webhook files or merges beside it
takes the same locks as ever; killed anywhere, the next goes on where the store stands.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple

import duckdb

from hatif.errors import HatifError
from hatif.webhooks.sources import Found, place_of
from sync.check import CheckResult
from sync.run import Computed, compute, compute_joined
from warehouse.errors import WarehouseError
from warehouse.lake import memory, schema
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.explain import step_failure
from warehouse.lake.known_ids import KnownIds
from warehouse.lake.sql import home_value
from warehouse.merge.ties import message_ids
from warehouse.models.model import merged_models, models
from warehouse.reports import status
from warehouse.settings.environment import Settings
from warehouse.webhooks import manifest
from warehouse.webhooks.batch import delivery_ids

_log = logging.getLogger(__name__)
_LOOK = 0.25  # seconds between two looks, where one takes no time
#: A look, and a pass, may take this share of the time at most: the rest is for others.
_SHARE_OF_LOOKS, _SHARE_OF_PASSES = 0.1, 0.9
_LONGEST_PAUSE = 5.0
#: Between two passes: in it others come to the lock, which they try twenty times a second.
_SHORTEST_REST, _LONGEST_REST = 0.2, 0.5
_AFTER_FAILURE = 15.0
_QUIET = 10.0  # seconds without a delivery before checks are made
_CHECKS_EVERY = 600.0
#: Checks take at most this share of the time.
_SHARE_OF_CHECKS = 0.01
#: Files that rest are looked at again that often: one that ends too early is set aside.
_ALL_EVERY = 1_800.0
#: Unread bytes that are left to a run, which shows how it gets on; some 10,000 deliveries.
BACKLOG = 8 << 20
#: Bytes of deliveries that are worked off in one transaction, some 500 to 1,000: so few that marts
#: are written where rows differ. What is beyond waits for the next.
_JOINED = 1 << 19
#: After so long they are read here all the same.
_RUN_PATIENCE = 120.0
#: Rows of a table that a pass leaves in the catalog rather than in a small file, and how often
#: these are moved into files.
INLINED_ROWS = 500
_TIDY_EVERY = 300.0
#: Deliveries after which they are moved at once: a statement reads all rows there of its tables,
#: so that 1,600 deliveries make each pass a fifth longer. And the pause where somebody reads.
_UNTIDY = 2_000
_TIDY_AGAIN = 10.0
#: Bytes of statistics after which the lake is opened anew: the half of DuckDB's memory, which some
#: 500 passes fill.
_MOST_CACHED = 64 << 20
#: Seconds to wait for those who read, since rows must not move under their eyes.
_TIDY_PATIENCE = 1.0


class Noted(NamedTuple):
    """What a file looked like."""

    size: int
    changed: int
    file_id: str | None


@dataclass(slots=True)
class Report:
    """What happened since the last report.

    Attributes:
        passes: that brought deliveries in.
        deliveries: newly accepted.
        rejects: set aside.
        seconds: that passes took, on the clock.
        processor: the same of the processor.
        broken: steps that failed and checks that did, a sentence each.
        results: of the checks of whole tables, where these were made.
        rows: of each table that passes can change, with its schema, where checks were made.
        backlog: unread bytes, where these are left to a run.
    """

    passes: int = 0
    deliveries: int = 0
    rejects: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    broken: list[str] = field(default_factory=list)
    results: list[CheckResult] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    backlog: int = 0

    def add(self, later: Report) -> None:
        """Take over a later report; of checks, rows and backlog the latest counts."""
        self.passes += later.passes
        self.deliveries += later.deliveries
        self.rejects += later.rejects
        self.seconds += later.seconds
        self.processor += later.processor
        self.broken += later.broken
        self.results = later.results or self.results
        self.rows = later.rows or self.rows
        self.backlog = later.backlog


class Live:
    """Looks for new files and works them off.

    Args:
        lake: open for writing.
        settings: of the home.
        report: called after each pass, after checks, and on failures.
        leaves_backlog: whether more than `BACKLOG` bytes are left to somebody else for a while.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        report: Callable[[Report], None],
        *,
        leaves_backlog: bool = False,
    ) -> None:
        #: Whether the tables are another version's by now.
        self.is_superseded = False
        self._lake = lake
        self._settings = settings
        self._report = report
        self._leaves_backlog = leaves_backlog
        self._place = place_of(settings.webhook_location)
        self._seen: dict[str, Noted] = {}
        self._all_at = 0.0  # when every file is looked at again, whether it differs or not
        self._unchecked = False
        self._may_join = False
        self._known = KnownIds(delivery_ids(), message_ids())
        self._check_at = 0.0
        self._last = 0.0  # when the last pass ended
        self._untidy = 0  # deliveries whose rows may lie in the catalog
        self._tidy_at = time.monotonic() + _TIDY_EVERY
        self._backlog_since: float | None = None

    def run(self, stop: Event) -> None:
        """Look and work until `stop` is set, or another version has changed the tables."""
        while not stop.is_set() and not self.is_superseded:
            stop.wait(self.step())

    def step(self) -> float:
        """Look once and do what is due; return how many seconds to wait before the next."""
        began = time.monotonic()
        try:
            differing = self._differing(began)
            looked = time.monotonic() - began
            if self._is_left(differing):
                return _LONGEST_PAUSE
            if differing and not self._has_our_tables():
                # Two versions would compute everything again in turn; whoever starts this process
                # starts the new one.
                self.is_superseded = True
                return 0.0
            if differing:
                pause = self._pass(differing)
                self._tidy_if_due()
                return pause
            self._tidy_if_due()
            if self._unchecked and began >= max(self._check_at, self._last + _QUIET):
                return self._check()
        except HatifError as error:
            return self._failed(str(error))
        except (duckdb.Error, OSError) as error:
            return self._failed(step_failure(error))
        return min(max(_LOOK, looked / _SHARE_OF_LOOKS), _LONGEST_PAUSE)

    def _has_our_tables(self) -> bool:
        with self._lake.reading() as connection:
            return home_value(connection, "schema") == schema.fingerprint()

    def _differing(self, now: float) -> list[Found]:
        """Return the files that are not as they were when they were last read."""
        files = list(self._place.files())
        if now >= self._all_at:
            self._seen.clear()
            self._all_at = now + _ALL_EVERY
        return [one for one in files if self._seen.get(one.path) != _noted(one)]

    def _is_left(self, differing: list[Found]) -> bool:
        """Whether so much is unread that it is left to a run; reports that."""
        if not self._leaves_backlog or _more(differing, self._seen) <= BACKLOG:
            self._backlog_since = None
            return False
        unread = 0
        with self._lake.reading() as connection:
            for some in manifest.pending(connection, differing):
                unread += sum(
                    one.found.size - (one.known.bytes_read if one.known else 0) for one in some
                )
        if unread <= BACKLOG:
            self._backlog_since = None
            return False
        if self._backlog_since is None:
            self._backlog_since = time.monotonic()
        if time.monotonic() - self._backlog_since >= _RUN_PATIENCE:
            return False
        self._report(Report(backlog=unread))
        return True

    def _pass(self, differing: list[Found]) -> float:
        """Work files off; return how long to pause after that."""
        is_due = self._unchecked and time.monotonic() >= self._check_at
        report, left = self._computed(differing, check_all=is_due)
        if report.broken:
            return self._failed(*report.broken, report=report)
        for one in differing:
            if one.path not in left:
                self._seen[one.path] = _noted(one)
            elif left[one.path]:  # as no listing shows it: the rest is looked for next time
                self._seen[one.path] = Noted(left[one.path], -1, one.file_id)
        self._unchecked = self._unchecked or bool(report.deliveries or report.rejects)
        if is_due:
            self._checked(report)
        else:
            report.results = []  # of some conversations only
        self._report(report)
        before, self._untidy = self._untidy, self._untidy + max(1, report.deliveries)
        if before < _UNTIDY <= self._untidy:
            self._tidy_at = time.monotonic()
        self._last = time.monotonic()
        rest = report.seconds * (1 / _SHARE_OF_PASSES - 1)
        return min(max(rest, _SHORTEST_REST), _LONGEST_REST)

    def _tidy_if_due(self) -> None:
        """Move what passes left in the catalog into files; put off where somebody reads."""
        if self._untidy and time.monotonic() >= self._tidy_at:
            compaction = Compaction(self._lake, _TIDY_PATIENCE)
            compaction.tidy()
            if not compaction.put_off:
                self._untidy = 0
            pause = _TIDY_AGAIN if compaction.put_off else _TIDY_EVERY
            self._tidy_at = time.monotonic() + pause
            self._drop_caches()

    def _drop_caches(self) -> None:
        """Open the lake anew where its caches have grown."""
        with self._lake.reading() as connection:
            are_large = memory.cached_bytes(connection) > _MOST_CACHED
        if are_large:
            self._lake.reopen()

    def _check(self) -> float:
        """Check whole tables, when nothing arrives; what syncs left to merge is merged before."""
        report, _ = self._computed(None, check_all=True)
        if report.broken:
            return self._failed(*report.broken, report=report)
        self._checked(report)
        self._report(report)
        return _LOOK

    def _computed(
        self, differing: list[Found] | None, *, check_all: bool
    ) -> tuple[Report, dict[str, int]]:
        """Work files off, or what syncs left; return what came of it, and what was not read."""
        began, processor = time.monotonic(), time.process_time()
        found, report = differing or [], Report()
        joined = None
        left: dict[str, int] = {}
        if found and self._may_join and _more(found, self._seen) <= BACKLOG:
            joined = compute_joined(self._lake, self._settings, found, self._known, _JOINED)
        if joined is not None:
            report, left = _report_of(joined), joined.left
            found = []
        if joined is None or check_all:
            done = compute(self._lake, self._settings, files=True, found=found, check_all=check_all)
            report.add(_report_of(done))
            # What another version left is brought up to date by then, which takes long.
            self._may_join = not done.broken
        report.seconds = time.monotonic() - began
        report.processor = time.process_time() - processor
        return report, left

    def _checked(self, report: Report) -> None:
        """Note that whole tables were checked, and count their rows."""
        report.rows = dict(self._rows())
        self._unchecked = False
        self._check_at = time.monotonic() + max(_CHECKS_EVERY, report.seconds / _SHARE_OF_CHECKS)

    def _rows(self) -> Iterator[tuple[str, int]]:
        made = (*merged_models(), *models("marts"))
        tables = [model.table for model in made if not model.is_view]
        with self._lake.snapshot() as connection:
            for table in ("raw.webhook_events", *tables):
                yield table, status.table_rows(connection, table)

    def _failed(self, *why: str, report: Report | None = None) -> float:
        """Report a failure; the files are looked at again after a while."""
        report = report or Report()
        report.broken = list(why)
        for sentence in why:
            _log.warning("%s", sentence)
        self._report(report)
        if self._lake.is_invalid:
            # Nothing succeeds in this process any more; whoever starts it starts another.
            raise WarehouseError("the lake must be opened anew: start hatif live again")
        self._check_at = time.monotonic() + _CHECKS_EVERY
        return _AFTER_FAILURE


def _noted(found: Found) -> Noted:
    return Noted(found.size, found.changed, found.file_id)


def _more(files: list[Found], seen: Mapping[str, Noted]) -> int:
    """Return by how many bytes files can have grown at most."""
    return sum(one.size - (seen[one.path].size if one.path in seen else 0) for one in files)


def _report_of(done: Computed) -> Report:
    has_news = bool(done.deliveries or done.rejects)
    return Report(int(has_news), done.deliveries, done.rejects, 0.0, 0.0, done.broken, done.results)
