"""A full pass over an offset list that ends in a certificate.

The service offers offset paging only, over lists that move while they are read. Counting rows
proves nothing: as many may have been missed as are dead. So a scan

* steps by the rows it received, never by those it requested, and learns how large a page may be;
* overlaps its pages and compares what stands where: rows removed before the current place move the
  rest towards the front, where it would be skipped; rows that jump to the front move it back;
* believes an order only where the rows keep it and the pages overlap. In such a list rows can
  arrive at the front alone, so one more look at the first page closes the pass. Any other list is
  read until two passes agree;
* where something moved, reads again until a pass holds together, and states it;
* can read an ordered list only down to an instant. What lies below proves nothing then:
  the store compares how many it holds with the service's own count.

A scan that is cut short (by the run's allowance, or a kill) is gone on with at the page after the
last one stored: its position and the ids seen are kept beside the rows.

What proves a pass: the pages fitted each other, and as many different ids were seen as the service
counts *after* the pass. In a list whose order held, a row missed or deleted changes the count;
in any other it might not (one row was deleted, another moved to where had been read already);
but then no identical second pass can follow: it would have to meet the deleted row. What an order
cannot show is a row that slips in behind the front while another is deleted; so what is absent is
read once more before it is called deleted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hatif.client import HatifClient
from hatif.deep_rows import read_beyond, rows_behind
from hatif.errors import HatifError
from hatif.page_reader import DepthRefused, PageReader, PageSize
from hatif.scan_pass import Pass, Proof, check_ids
from hatif.sender import Meter
from hatif.sink import Certificate, Position, ScannedPage, Unfinished, Verdict
from hatif.streams import Stream
from hatif.wire import Page, Spelling, decode_page


class Scan:
    """Reads one list to its certificate.

    Args:
        client: the run's shared client.
        stream: the list's entry in the list of streams.
        certificate: to be filled; it names the list.
        spelling: the keys that the warehouse reads.
        size: what is known of the stream's page size.
        emit: takes each page as it comes; may hold the scan back.
        until: stop, in a list that keeps its order, at the first row before this instant.
        unfinished: the scan to go on with.
        setbacks: readings of this list in a row that ended unproven, see `KNOWN_UNPROVEN`.
    """

    def __init__(
        self,
        client: HatifClient,
        stream: Stream,
        certificate: Certificate,
        *,
        spelling: Spelling,
        size: PageSize,
        emit: Callable[[ScannedPage], Awaitable[None]],
        until: datetime | None = None,
        unfinished: Unfinished | None = None,
        setbacks: int = 0,
    ) -> None:
        self._client = client
        self._stream = stream
        self._parent = certificate.parent_id
        self._until = until
        self._unfinished = unfinished
        self._spelling = spelling
        self._size = size
        self._emit = emit
        #: Counts the HTTP attempts made by this run.
        self.meter = Meter()
        self._reader = self._page_reader()
        #: Rows that the service could not deliver, in words.
        self.passed_over = self._reader.passed_over
        self._proof = Proof(stream, self.passed_over, setbacks)
        self._quiet = True
        self._this = Pass(1)
        self._before: Pass | None = None
        self.certificate = certificate

    @property
    def met(self) -> npt.NDArray[np.int64]:
        """Hashes of the ids that the last pass met."""
        return self._this.marks

    async def run(self) -> Certificate:
        """Read the list and return its certificate, which may be `unproven`.

        Raises:
            ServiceError: the service did not answer; the verdict is then `failed`.
            StreamError: the answer shows a changed API.
        """
        certificate = self.certificate
        try:
            certificate.verdict = await self._passes()
        except HatifError as error:
            certificate.note = str(error)
            raise
        finally:
            certificate.requests += self.meter.requests
            certificate.page_size = self._size.rows if self._reader.paged else None
            certificate.finished_at = datetime.now(UTC)
        return certificate

    async def _passes(self) -> Verdict:
        certificate = self.certificate
        this, offset, tail = self._begin()
        while True:
            certificate.passes, self._this = this.number, this
            await self._read_through(this, offset, tail)
            certificate.rows_read += this.received
            certificate.distinct_ids = len(this.marks)
            if this.number == 1:
                certificate.total_before = this.total_first
            certificate.total_after = this.total_last
            if certificate.top is None:
                certificate.top = this.top
            if self._proof.holds(this, self._before, whole=certificate.whole):
                quiet = self._quiet and this.quiet
                return Verdict.COMPLETE if quiet else Verdict.REPAIRED
            if (why := self._proof.why_no_more(this, self._before)) is not None:
                certificate.note = why
                return Verdict.UNPROVEN
            before = self._before
            agreed = before is not None and np.array_equal(this.marks, before.marks)
            # An unordered list is read twice as a matter of course: no sign of movement yet.
            counted = this.counted or this.total_last == this.positions
            steady = this.quiet and (before is None or agreed) and counted
            self._quiet = self._quiet and steady
            self._before, this = this, Pass(this.number + 1)
            offset, tail = 0, []

    def _begin(self) -> tuple[Pass, int, list[str]]:
        """Return the pass to begin or to go on with, and where."""
        if self._unfinished is None:
            return Pass(1), 0, []
        position, seen = self._unfinished.position, self._unfinished.seen
        passes = [Pass.resumed(state, seen(state.number)) for state in position.passes]
        self._before = passes[0] if len(passes) > 1 else None
        self._quiet = position.quiet
        self.certificate.rows_read = position.rows_read
        self.certificate.requests = position.requests
        self.passed_over.extend(position.passed_over)
        return passes[-1], position.offset, position.tail

    async def _read_through(self, this: Pass, offset: int, tail: list[str]) -> None:
        try:
            await self._read_down(this, offset, tail)
        except DepthRefused as refused:
            await self._read_beyond(this, refused)

    async def _read_down(self, this: Pass, offset: int, tail: list[str]) -> None:
        self.certificate.whole = True
        previous: list[str] = []
        cut = 0  # rows of the page before, where it was shorter than requested amid the list
        while True:
            fetched = await self._reader.read(offset, tail)
            start, requested, page = fetched.start, fetched.requested, fetched.page
            this.take(page, fetched.expected)
            check_ids(self._stream, self._parent, this, page, len(self.passed_over))
            passed, offset = start + len(fetched.expected), start + page.received
            tail = page.sequence[page.received - _overlap(page.received) :]
            nothing_new = page.received <= len(fetched.expected)
            if nothing_new and page.total is not None and passed < page.total:
                this.holes.append(passed)
                step = max(1, self._size.rows // 5)
                behind = await rows_behind(self._reader, passed, page.total, step)
                if behind is not None:
                    offset, tail = behind, []
                    continue
            await self._emit(self._scanned(this, page, offset, tail))
            if start > 0 and page.sequence == previous:
                # Without a total only a bare list shorter than requested may pass as the whole.
                whole = page.listed and page.received < requested
                this.stuck = page.total is None and not whole
                break
            this.stuck = this.goes_in_circles
            if this.stuck or nothing_new or self._is_end(page, requested, offset):
                break
            if self._until is not None and this.is_below(self._until):
                self.certificate.whole = False
                return
            if page.received < requested and page.total is not None:
                if page.received == cut:
                    self._size.capped(cut)
                cut = page.received
            previous = page.sequence
        this.positions = offset
        if this.pages > 1 and self._stream.order is not None and this.ordered:
            page = (await self._reader.read(0, [], len(this.first))).page
            this.received += page.received
            this.close(page)
            await self._emit(self._scanned(this, page, offset, tail))

    async def _read_beyond(self, this: Pass, refused: DepthRefused) -> None:
        """Read what is out of reach in other ways.

        Two such passes that agree and count as the service does prove the list like any other.
        """
        this.out_of_reach = str(refused)
        if self._until is not None:
            return

        def make_reader(sorting: str | None, filters: Mapping[str, str]) -> PageReader:
            reader = self._page_reader(sorting, filters)
            reader.passed_over = self.passed_over
            return reader

        async def emit(page: Page) -> None:
            await self._emit(self._scanned(this, page, refused.offset, []))

        await read_beyond(self._stream, this, make_reader, emit)

    def _scanned(self, this: Pass, page: Page, offset: int, tail: list[str]) -> ScannedPage:
        before = [self._before.state] if self._before is not None else []
        position = Position(
            [*before, this.state],
            offset,
            tail,
            self._quiet,
            self.certificate.rows_read,
            self.certificate.requests + self.meter.requests,
            [*self.passed_over],
        )
        return ScannedPage(self.certificate, this.number, page, position)

    def _is_end(self, page: Page, requested: int, offset: int) -> bool:
        """Only a page that is not full, at or past the total, is the last.

        A list without a total ends where a page brings nothing new, since a short page may be
        a silent cap; one that the service does not page ends at once.
        """
        if not self._reader.paged:
            if page.listed or page.total is None or page.total <= page.received:
                return True
            # Bare by the documents, but it came as the first page of more.
            self._reader.paged = True
            return False
        if page.total is None:
            return False
        return page.received != requested and offset >= page.total

    def _page_reader(
        self, sorting: str | None = None, filters: Mapping[str, str] = MappingProxyType({})
    ) -> PageReader:
        return PageReader(
            self._client,
            self._stream,
            self._parent,
            self._size,
            partial(
                decode_page,
                stream=self._stream,
                spelling=self._spelling,
                parent=self._parent,
            ),
            self.meter,
            sorting,
            filters,
        )


def _overlap(received: int) -> int:
    """Rows of a page to read again with the next one: two in a hundred, at least one."""
    return min(max(1, received // 50), received - 1) if received else 0
