"""What is counted of a stream: each record once, however often its list is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.page_reader import PageSize
from hatif.reading import Reading, StreamResult
from hatif.scan import Scan
from hatif.sink import Certificate, Target
from hatif.streams import STREAMS
from tests.hatif.conftest import SPELLING, WHO

_NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def scan(distinct: int) -> Scan:
    """A scan that has ended and saw so many records."""
    stream = STREAMS["timelines"]

    async def emit(_: object) -> None: ...

    certificate = Certificate(stream.name, "a", "full", distinct_ids=distinct)
    client = HatifClient(WHO, Budget(0))
    return Scan(client, stream, certificate, spelling=SPELLING, size=PageSize(), emit=emit)


@pytest.mark.parametrize(
    ("until", "first", "then", "read"),
    [(_NOON, 5, 500, 500), (_NOON, 5, 5, 5), (None, 500, 500, 500), (_NOON, 5, 3, 5)],
    ids=["its beginning, then all", "nothing more", "all of it twice", "shorter meanwhile"],
)
def test_a_list_read_again_adds_what_was_not_counted_yet(
    until: datetime | None, first: int, then: int, read: int
) -> None:
    reading = Reading(StreamResult("timelines"))
    target = Target("a", "changed", until)
    reading.add_scan(scan(first), target, again=False, ended=True)
    reading.add_scan(scan(then), Target("a", "check"), again=True, ended=True)
    assert (reading.result.rows_read, reading.result.scans) == (read, 1)


def test_a_list_that_was_not_read_to_its_end_is_no_list_read() -> None:
    reading = Reading(StreamResult("timelines"))
    reading.add_scan(scan(5), Target("a", "new"), again=False, ended=False)
    assert (reading.result.rows_read, reading.result.scans) == (5, 0)
