"""Where rows come again behind an empty page amid a list."""

from __future__ import annotations

from hatif.page_reader import PageReader

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
