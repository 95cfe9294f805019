"""Reads the pages of one list, whatever size the service delivers, and past rows it cannot deliver.

A page can be refused for its size, in many words; can fail because it is too slow or holds a row
that breaks the service; and deep offsets can be refused altogether. So a page that fails is halved,
down to one row. A row that fails alone while rows behind it come is passed over by its position and
set aside. Where nothing behind comes either, though the list's beginning does, the list cannot be
read deeper from this end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from hatif.streams import Stream
from hatif.wire import Page, Reject

#: Why a row that fails alone is set aside.
UNREADABLE_ROW = "unreadable_row"
#: Failures that can be due to the rows or the size of a page; any other concerns the whole list.
_OUT_OF_SERVICE = 503  # the service says so of itself: no page is to blame
_OF_ROWS = (ServerFault, Unreachable, MalformedResponse)
#: Tries for a part of a page that has failed: the whole has shown patience enough.
_ATTEMPTS = 2
#: How far behind a row that failed others are asked for, to tell a bad row from a bad place.
_AHEAD = (1, 8, 64)
#: Statuses with which a first page can be refused for its size, named or not.
_SIZE_STATUSES = frozenset({400, 413, 414, 416, 422, 431})


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


class PageSize:
    """How many records to ask for; learned once, for all lists of a stream."""

    def __init__(self, start: int = 500) -> None:
        self.ask = start
        self.accepted = 0  # the largest page that came, whatever it held
        self.was_tried_smaller = False

    def refused(self, asked: int) -> bool:
        """Note a refusal of MaxResultCount; tell whether a smaller page can be tried."""
        if asked <= 1:
            return False
        self.ask = min(self.ask, max(1, asked // 2))
        return True

    def capped(self, received: int) -> None:
        """Note that pages in the middle of a list come no longer than this, whatever is asked.

        Two in a row must have shown it: one short page is no cap but a total that ran ahead, and
        believing it would ask for a few rows at a time from then on.
        """
        self.ask = max(1, min(self.ask, received))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, where it begins, how many records were asked for, and the rows expected first."""

    start: int
    asked: int
    page: Page
    expected: list[str]


@dataclass(slots=True)
class _Obstacle:
    """Rows `begin` to `end` (exclusive) that failed as one page; parts are `width` rows."""

    end: int
    width: int
    largest: int = 0


class PageReader:
    """Reads pages of one list.

    Args:
        client: the run's shared client.
        stream: the list's entry in the catalogue.
        parent: the record it hangs on.
        size: what is known of the stream's page size.
        decode: body to page.
        meter: where attempts are counted.
        sorting: the ``Sorting`` parameter, None for the stream's own.
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
    ) -> None:
        self._client = client
        self._stream = stream
        self._parent = parent
        self._path = stream.list_path(parent)
        self._size = size
        self._decode = decode
        self._meter = meter
        self._sorting = sorting or (stream.order.sorting if stream.order else None)
        self._obstacle: _Obstacle | None = None
        self.paged = stream.paged
        #: Rows that failed alone, in words.
        self.passed_over: list[str] = []

    async def read(self, offset: int, tail: list[str], ask: int | None = None) -> Fetched:
        """Read the page at an offset, overlapping the one before where nothing is in the way.

        Args:
            offset: rows passed so far.
            tail: the last of them, to be met again.
            ask: records to ask for, None for what was learned.

        Raises:
            ServiceError: the list cannot be read.
            DepthRefused: it cannot be read from here on.
        """
        while True:
            if self._obstacle is not None and offset >= self._obstacle.end:
                self._surmounted(self._obstacle)
            expected = [] if self._obstacle is not None else tail
            start = offset - len(expected)
            asked = ask or self._width(offset)
            try:
                page = await self._get(start, asked)
            except ServiceError as error:
                ask = None
                if self._is_about_size(error, start, asked) and self._size.refused(asked):
                    continue
                if self.paged and await self._comes_smaller(error, start, asked):
                    continue
                if not self._can_narrow(error, offset):
                    raise
                fetched = await self._narrow(offset, start + asked - offset, error)
                if fetched is not None:
                    return fetched
            else:
                self._size.accepted = max(self._size.accepted, asked)
                if self._obstacle is not None:
                    self._obstacle.largest = max(self._obstacle.largest, asked)
                return Fetched(start, asked, page, expected)

    def _width(self, offset: int) -> int:
        if self._obstacle is None:
            return self._size.ask
        return max(1, min(self._obstacle.width, self._obstacle.end - offset))

    async def _get(self, start: int, asked: int, attempts: int | None = None) -> Page:
        params: dict[str, str | int] = {}
        if self.paged:
            params = {"SkipCount": start, "MaxResultCount": asked}
            if self._sorting is not None:
                params["Sorting"] = self._sorting
        if self._obstacle is not None:
            attempts = _ATTEMPTS
        return await self._client.get(
            self._path, params, self._decode, self._meter, attempts=attempts
        )

    # --- sizes

    def _is_about_size(self, error: ServiceError, start: int, asked: int) -> bool:
        """Whether the answer names the size, and not in a limit of offset and size together."""
        if not self.paged or (start > 0 and self._size.accepted >= asked):
            return False
        members = error.members if isinstance(error, InvalidRequest) else frozenset()
        return any("maxresultcount" in member for member in members)

    async def _comes_smaller(self, error: ServiceError, start: int, asked: int) -> bool:
        """Whether a first page that was refused, for whatever reason, comes when it is smaller.

        Tried once for all lists of a stream, and only while no page of that size has come.
        """
        of_size = error.status in _SIZE_STATUSES or isinstance(error, BusinessRefusal)
        size = self._size
        if start > 0 or not of_size or size.accepted >= asked or size.was_tried_smaller:
            return False
        size.was_tried_smaller = True
        while asked > 1:
            asked //= 2
            try:
                await self._get(0, asked, _ATTEMPTS)
            except ServiceError as other:
                if other.status not in _SIZE_STATUSES and not isinstance(other, BusinessRefusal):
                    return False
            else:
                size.ask, size.accepted = asked, asked
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

    async def _narrow(self, offset: int, asked: int, error: ServiceError) -> Fetched | None:
        """Look into a page that failed; return what came of its first row, None to go on smaller.

        Raises:
            ServiceError: neither this row nor any other comes.
            DepthRefused: only rows before it come.
        """
        is_first = self._obstacle is None
        if asked > 1:
            self._obstacle = _Obstacle(offset + asked, max(1, asked // 2))
            if not is_first:
                return None
            if (page := await self._try_row(offset)) is not None:
                return Fetched(offset, 1, page, [])
        for ahead in _AHEAD:
            if await self._try_row(offset + ahead) is not None:
                self._obstacle = None
                return Fetched(offset, 1, self._unreadable(offset, error), [])
        if offset > 0 and await self._try_row(0) is not None:
            self._obstacle = None
            raise DepthRefused(offset, str(error))
        self._obstacle = None
        raise error

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
        """All parts of a page that failed have come: it was too large, none of its rows bad."""
        self._size.ask = max(1, min(self._size.ask, obstacle.largest))
        self._obstacle = None
