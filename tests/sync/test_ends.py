"""How streams end is noted for the next run: together where all went well, at once where not."""

from __future__ import annotations

import pytest

from hatif.errors import ClockChanged, EndpointUnavailable
from sync import ends
from sync.ends import StreamEnds
from warehouse.lake.connection import Lake
from warehouse.queue import runs, states
from warehouse.records import drift


def _stands(lake: Lake) -> dict[str, list[str]]:
    """What is noted of each stream."""
    with lake.reading() as connection:
        return {stream: list(state) for stream, state in states.read(connection).items()}


def _end(lake: Lake, noted: StreamEnds) -> None:
    runs.end(lake, "run", requests=0, status="done", error=None, outage=None, states=noted.waiting)


def test_streams_that_were_read_well_are_noted_together_at_the_end(lake: Lake) -> None:
    noted = StreamEnds(lake)
    for stream in ("users", "tags"):
        noted.succeeded(stream)
    assert _stands(lake) == {}
    _end(lake, noted)
    assert _stands(lake) == {"users": ["synced_at"], "tags": ["synced_at"]}
    _end(lake, noted)  # rows that are there are changed, none is doubled
    with lake.reading() as connection:
        assert len(connection.execute("FROM ops.cursors").fetchall()) == 2


def test_after_some_seconds_what_waits_is_noted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "_LONGEST", -1.0)
    noted = StreamEnds(lake)
    noted.succeeded("users")
    assert _stands(lake) == {"users": ["synced_at"]}
    assert noted.waiting == {}


def test_a_stream_that_is_not_offered_is_noted_at_once_with_those_before(lake: Lake) -> None:
    noted = StreamEnds(lake)
    noted.succeeded("users")
    noted.failed("tags", EndpointUnavailable("tags: not offered"))
    assert noted.unavailable_since("tags") is not None
    assert _stands(lake) == {"users": ["synced_at"], "tags": ["unavailable_since"]}
    assert StreamEnds(lake).unavailable_since("tags") is not None
    noted.succeeded("tags")
    assert noted.unavailable_since("tags") is None


def test_what_stopped_a_stream_is_forgotten_when_it_is_read_well(lake: Lake) -> None:
    StreamEnds(lake).failed("tags", ClockChanged("tags: another clock. See there"))
    with lake.reading() as connection:
        assert drift.stopped(connection) == {"tags"}
    noted = StreamEnds(lake)
    noted.succeeded("users")
    noted.succeeded("tags")
    with lake.reading() as connection:
        assert drift.stopped(connection) == set()
