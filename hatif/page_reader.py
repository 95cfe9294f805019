"""Reads the pages of one list, whatever size the service delivers, and past rows it cannot deliver.

How many records a page may hold is learned once for all lists of a stream (`PageSize`). A page can
be refused for its size, in many words; can fail because it is too slow or holds a row that breaks
the service; and deep offsets can be refused altogether. So a page that fails is halved, down to one
row. A row that fails alone while rows behind it come is passed over by its position and set aside.
Where nothing behind comes either, though the list's beginning does, the list cannot be read deeper
from this end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from hatif.client import HatifClient
from hatif.errors import (
    BusinessRefusal,
    HatifError,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    RateLimited,
    ServerFault,
    ServiceError,
    SignInRefused,
    Unreachable,
)
from hatif.sender import Meter
from hatif.sink import UNREADABLE_ROW
from hatif.streams import Stream
from hatif.wire import Page, Reject

#: Statuses with which a first page can be refused for its size, named or not.
_SIZE_STATUSES = frozenset({400, 413, 414, 416, 422, 431})


def is_size_refusal(error: ServiceError) -> bool:
    """Return whether the error can mean that a page is too large, though it does not name it."""
    return error.status in _SIZE_STATUSES or isinstance(error, BusinessRefusal)


@dataclass(slots=True)
class PageSize:
    """How many records to request.

    Attributes:
        rows: rows of the next page.
        accepted: the largest page that came, whatever it held.
        was_tried_smaller: a page refused without naming its size was tried smaller.
    """

    rows: int = 500
    accepted: int = 0
    was_tried_smaller: bool = False

    def refused(self, requested: int) -> bool:
        """Note a page refused for its size; return whether a smaller one can be tried."""
        if requested <= 1:
            return False
        self.rows = min(self.rows, max(1, requested // 2))
        return True

    def capped(self, received: int) -> None:
        """Note that pages in the middle of a list come no longer than this, whatever is requested.

        Two in a row must have shown it: one short page is no cap but a total that ran ahead, and
        believing it would cost many small pages from then on.
        """
        self.rows = max(1, min(self.rows, received))

    def is_named(self, error: ServiceError, start: int, requested: int) -> bool:
        """Return whether an error names the page's size, and not offset and size together."""
        if start > 0 and self.accepted >= requested:
            return False
        members = error.members if isinstance(error, InvalidRequest) else frozenset()
        return any("maxresultcount" in member for member in members)

    def can_be_cause(self, error: ServiceError, start: int, requested: int) -> bool:
        """Return whether a first page can have been refused for its size without naming it.

        Answered once for all lists of a stream, and only while no page of that size has come.
        """
        if start > 0 or self.accepted >= requested or self.was_tried_smaller:
            return False
        return is_size_refusal(error)


#: Failures that can be due to the rows or the size of a page; any other concerns the whole list.
_OUT_OF_SERVICE = 503  # the service as a whole is down: no page is to blame
_OF_ROWS = (ServerFault, Unreachable, MalformedResponse)
#: Tries for a part of a page that has failed: the whole has shown patience enough.
_ATTEMPTS = 2
#: How far behind a row that failed others are requested, to tell a bad row from a bad place.
_AHEAD = (1, 8, 64)
#: Rows of a list that are passed over at most; behind so many it counts as out of reach.
_MOST_PASSED_OVER = 100
#: By how much the parts of a page grow again behind a row that was passed over.
_GROWTH = 8


class DepthRefused(HatifError):
    """The list cannot be read from this offset on, though its beginning can.

    Attributes:
        offset: the first row that is out of reach.
        why: what was answered there.
    """

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"rows from {offset} on are out of reach: {why}")
        self.offset = offset
        self.why = why


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, where it begins, how many records were requested, and the rows expected first."""

    start: int
    requested: int
    page: Page
    expected: list[str]


@dataclass(slots=True)
class _Obstacle:
    """A page that failed and is read in parts.

    Attributes:
        page_end: the row behind its last.
        end: the row behind the part of it that is being read.
        width: rows of the next part.
        largest: rows of the largest part that came.
        has_bad_rows: rows of it were passed over, so that its size proves nothing.
    """

    page_end: int
    end: int
    width: int = 1
    largest: int = 0
    has_bad_rows: bool = False


class PageReader:
    """Reads pages of one list.

    Args:
        client: the run's shared client.
        stream: the list's entry in the list of streams.
        parent: the record it hangs on.
        size: what is known of the stream's page size.
        decode: body to page.
        meter: where attempts are counted.
        sorting: the ``Sorting`` parameter, None for the stream's own.
        filters: further parameters.
    """

    def __init__(
        self,
        client: HatifClient,
        stream: Stream,
        parent: str | None,
        size: PageSize,
        decode: Callable[[bytes], Page],
        meter: Meter,
        sorting: str | None = None,
        filters: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._stream = stream
        self._parent = parent
        self._path = stream.list_path(parent)
        self._size = size
        self._decode = decode
        self._meter = meter
        self._sorting = sorting or (stream.order.sorting if stream.order else None)
        self._filters = filters
        self._obstacle: _Obstacle | None = None
        self._reached = -1  # the furthest row that came while others failed
        self._total: int | None = None
        self.paged = stream.paged
        #: Rows that failed alone, in words.
        self.passed_over: list[str] = []

    async def read(self, offset: int, tail: list[str], count: int | None = None) -> Fetched:
        """Read the page at an offset, overlapping the one before where nothing is in the way.

        Args:
            offset: rows passed so far.
            tail: the last of them, to be met again.
            count: records to request, None for what was learned.

        Raises:
            ServiceError: the list cannot be read.
            DepthRefused: it cannot be read from here on.
        """
        while True:
            if self._obstacle is not None and offset >= self._obstacle.end:
                self._surmounted(self._obstacle)
            expected = [] if self._obstacle is not None else tail
            start = offset - len(expected)
            requested = count or self._width(offset)
            try:
                page = await self._get(start, requested)
            except ServiceError as error:
                count = None
                about_size = self.paged and self._size.is_named(error, start, requested)
                if about_size and self._size.refused(requested):
                    continue
                if self.paged and await self._comes_smaller(error, start, requested):
                    continue
                if not self._can_narrow(error, offset):
                    raise
                fetched = await self._narrow(offset, start + requested - offset, error)
                if fetched is not None:
                    return fetched
            else:
                self._note_size(requested)
                self._total = page.total
                return Fetched(start, requested, page, expected)

    def _note_size(self, came: int) -> None:
        self._size.accepted = max(self._size.accepted, came)
        if self._obstacle is not None:
            self._obstacle.largest = max(self._obstacle.largest, came)
            if self._obstacle.has_bad_rows:
                self._obstacle.width = min(self._size.rows, _GROWTH * came)

    def _width(self, offset: int) -> int:
        if self._obstacle is None:
            return self._size.rows
        return max(1, min(self._obstacle.width, self._obstacle.end - offset))

    async def _get(self, start: int, requested: int, attempts: int | None = None) -> Page:
        params: dict[str, str | int] = {}
        if self.paged:
            params = {"SkipCount": start, "MaxResultCount": requested, **self._filters}
            if self._sorting is not None:
                params["Sorting"] = self._sorting
        if self._obstacle is not None:
            attempts = _ATTEMPTS
        return await self._client.get(
            self._path, params, self._decode, self._meter, attempts=attempts
        )

    # --- sizes

    async def _comes_smaller(self, error: ServiceError, start: int, requested: int) -> bool:
        """Whether a first page that was refused, for whatever reason, comes when it is smaller.

        Tried once for all lists of a stream, and only while no page of that size has come.
        """
        size = self._size
        if not size.can_be_cause(error, start, requested):
            return False
        size.was_tried_smaller = True
        while requested > 1:
            requested //= 2
            try:
                await self._get(0, requested, _ATTEMPTS)
            except ServiceError as other:
                if not is_size_refusal(other):
                    return False
            else:
                size.rows, size.accepted = requested, requested
                return True
        return False

    # --- rows that fail

    def _can_narrow(self, error: ServiceError, offset: int) -> bool:
        """Whether the failure can be due to this place of the list.

        A child's first page is looked into only where the endpoint is known to work: otherwise
        each list would cost many requests while the service is down.
        """
        if not self.paged or isinstance(error, (SignInRefused, RateLimited)):
            return False
        if error.status == _OUT_OF_SERVICE:
            return False
        if isinstance(error, NotFound) and error.abp:
            return False
        if offset > 0:
            return True
        works = self._parent is None or self._size.accepted > 0
        return isinstance(error, _OF_ROWS) and works

    async def _narrow(self, offset: int, requested: int, error: ServiceError) -> Fetched | None:
        """Look into a page that failed; return what came of its first row, None to go on smaller.

        Raises:
            ServiceError: neither this row nor any other comes.
            DepthRefused: only rows before it come.
        """
        is_first = self._obstacle is None
        obstacle = self._obstacle = self._obstacle or _Obstacle(
            offset + requested, offset + requested
        )
        if requested > 1:
            obstacle.end, obstacle.width = offset + requested, max(1, requested // 2)
            if not is_first:
                return None
            if (page := await self._try_row(offset)) is not None:
                return Fetched(offset, 1, page, [])
        if len(self.passed_over) < _MOST_PASSED_OVER and await self._comes_behind(offset):
            obstacle.has_bad_rows, obstacle.end, obstacle.width = True, obstacle.page_end, 1
            return Fetched(offset, 1, self._unreadable(offset, error), [])
        if offset > 0 and await self._try_row(0) is not None:
            self._obstacle = None
            raise DepthRefused(offset, str(error))
        self._obstacle = None
        raise error

    async def _comes_behind(self, offset: int) -> bool:
        """Whether some row behind this one comes."""
        if offset < self._reached:
            return True
        last = (self._total or 0) - 1
        for place in (*(offset + ahead for ahead in _AHEAD), last):
            if place > offset and await self._try_row(place) is not None:
                self._reached = place
                return True
        return False

    async def comes(self, offset: int) -> bool:
        """Return whether one row comes at this offset; an empty page behind the end is one.

        Raises:
            SignInRefused, RateLimited: no request is answered.
        """
        return await self._try_row(offset) is not None

    async def _try_row(self, offset: int) -> Page | None:
        """Return one row, None where it cannot be had; an empty page behind the end is one."""
        try:
            return await self._get(offset, 1, _ATTEMPTS)
        except (SignInRefused, RateLimited):
            raise
        except ServiceError:
            return None

    def _unreadable(self, offset: int, error: ServiceError) -> Page:
        """A page in place of a row that the service cannot deliver, to be set aside.

        The position stands in its location alone: it changes with every row that arrives.
        """
        number = len(self.passed_over) + 1
        self.passed_over.append(f"row {offset}: {error}")
        why = error.status or type(error).__name__
        text = f"row that the service cannot deliver ({why}), number {number} of its list"
        raw = msgspec.json.encode(text).decode()
        location = f"{self._path}?SkipCount={offset}&MaxResultCount=1"
        bad = Reject(self._stream.name, UNREADABLE_ROW, raw, location)
        return Page(received=1, sequence=[f"reject:{bad.reject_id}"], rejects=[bad])

    def _surmounted(self, obstacle: _Obstacle) -> None:
        """All parts of a page that failed have come: it was too large, unless a row was bad."""
        if not obstacle.has_bad_rows:
            self._size.rows = max(1, min(self._size.rows, obstacle.largest))
        self._obstacle = None
