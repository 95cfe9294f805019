"""Rows of a list that paging does not reach: behind empty pages, beyond the deepest offset.

Behind empty pages amid a list rows are searched for by position (`rows_behind`); beyond the deepest
offset that is accepted, by another order or by a filter (`read_beyond`). Nothing is taken on
trust there: a parameter can be ignored, refused, or mean something else. A row that comes is a row
of the list, whichever way it came; the count of different ids proves that all came. So each way is
followed while its pages keep the order and bring rows that were not seen before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from hatif.clock import NAIVE_MEANS, parse_time
from hatif.errors import RateLimited, ServiceError, SignInRefused
from hatif.page_reader import DepthRefused, PageReader
from hatif.scan_pass import Pass
from hatif.streams import Stream
from hatif.wire import Page

#: Added to the instant of the deepest row: filters may count its second in or out.
_MARGIN = timedelta(minutes=1)
#: A row later than the filter's instant by more, whatever zone it is read in, was not filtered.
_IGNORED = timedelta(hours=4)

#: Makes a reader of the list by a ``Sorting`` parameter and filters.
MakeReader = Callable[[str | None, Mapping[str, str]], PageReader]
Emit = Callable[[Page], Awaitable[None]]


async def read_beyond(stream: Stream, this: Pass, make_reader: MakeReader, emit: Emit) -> None:
    """Read what the pass could not reach, as far as the service lets it.

    Args:
        stream: the list's entry in the list of streams.
        this: the pass; it has come as far as offsets reach.
        make_reader: of the same list.
        emit: takes each page.

    Raises:
        SignInRefused, RateLimited: no request is answered.
    """
    key = stream.order_key or stream.time_key
    if key is None:
        return
    property_name = f"{key[0].upper()}{key[1:]}"
    for direction in ("ASC", "DESC"):
        sorting = f"{property_name} {direction}"
        if stream.order is None or stream.order.sorting != sorting:
            reader = make_reader(sorting, {})
            await _follow(this, reader, emit, descending=direction == "DESC")
    while stream.until_filter is not None and not this.counted and this.last_key is not None:
        bound = parse_time(this.last_key)
        if bound is None:
            return
        local = (bound + _MARGIN).astimezone(NAIVE_MEANS).replace(tzinfo=None)
        filters = {stream.until_filter: local.isoformat(timespec="seconds")}
        reader = make_reader(None, filters)
        if not await _follow(this, reader, emit, descending=True, newest=bound + _IGNORED):
            return


async def _follow(
    this: Pass,
    reader: PageReader,
    emit: Emit,
    *,
    descending: bool,
    newest: datetime | None = None,
) -> bool:
    """Read one way until all is counted or it leads no further; return whether rows were new.

    Args:
        this: the pass.
        reader: of that way.
        emit: takes each page.
        descending: how its rows must be ordered.
        newest: no row may be later, None where the way is not filtered.
    """
    seen = len(this.marks)
    if this.counted or not await reader.comes(0):
        return False
    place = 0
    while not this.counted:
        try:
            page = (await reader.read(place, [])).page
        except (SignInRefused, RateLimited):
            raise
        except (DepthRefused, ServiceError):
            break
        before = len(this.marks)
        if newest is not None and _begins_later(page, newest):
            break
        if not this.take_beyond(page, descending=descending, counts=newest is None):
            break
        if len(this.marks) == before and newest is None:
            break
        place += page.received
        await emit(page)
    return len(this.marks) > seen


def _begins_later(page: Page, newest: datetime) -> bool:
    times = [parse_time(key) for key in page.order_keys[:1] if key]
    return any(time is not None and time > newest for time in times)


#: Empty pages in a row before the list's last row is requested.
_EMPTY_PAGES = 3


async def rows_behind(reader: PageReader, offset: int, total: int, step: int) -> int | None:
    """Return the first offset behind an empty page at which a row comes, None where none does.

    Looked for in steps, then exactly. After a few empty pages the list's last row is requested:
    where that does not come either, the total is what is wrong.

    Args:
        reader: of the list.
        offset: of the empty page.
        total: rows as the service counts them.
        step: rows from one look to the next.
    """
    last = total - 1
    for empty, place in enumerate(range(offset, total, step)):
        if empty == _EMPTY_PAGES and not await _has_rows(reader, last, 1):
            return None
        if await _has_rows(reader, place, step):
            return await _end_of_hole(reader, max(offset, place - step), place)
    if await _has_rows(reader, last, 1):
        return await _end_of_hole(reader, max(offset, last - step), last)
    return None


async def _end_of_hole(reader: PageReader, empty: int, filled: int) -> int:
    while filled - empty > 1:
        middle = (empty + filled) // 2
        if await _has_rows(reader, middle, 1):
            filled = middle
        else:
            empty = middle
    return filled


async def _has_rows(reader: PageReader, place: int, count: int) -> bool:
    return (await reader.read(place, [], count)).page.received > 0
