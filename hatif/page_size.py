"""How many records a page may hold: learned once, for all lists of a stream."""

from __future__ import annotations

from hatif.errors import BusinessRefusal, InvalidRequest, ServiceError

#: Statuses with which a first page can be refused for its size, named or not.
_SIZE_STATUSES = frozenset({400, 413, 414, 416, 422, 431})


def is_size_refusal(error: ServiceError) -> bool:
    """Return whether the error can mean that a page is too large, though it does not name it."""
    return error.status in _SIZE_STATUSES or isinstance(error, BusinessRefusal)


class PageSize:
    """How many records to request.

    Attributes:
        rows: rows of the next page.
        accepted: the largest page that came, whatever it held.
        was_tried_smaller: a page refused without naming its size was tried smaller.
    """

    def __init__(self, start: int = 500) -> None:
        self.rows = start
        self.accepted = 0
        self.was_tried_smaller = False

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
