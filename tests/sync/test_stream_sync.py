"""How a stream is synced: what fails of it does not keep the rest from being settled."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from hatif.clock import ServiceClock
from hatif.errors import ListsFailed
from hatif.reading import Quiet, Reading, StreamResult
from hatif.sink import Target
from hatif.streams import STREAMS
from hatif.wire import Spelling
from sync import stream_sync
from sync.ends import StreamEnds
from sync.stream_sync import RunContext, StreamSync
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings


class _Client:
    clock = ServiceClock()


class _Reader:
    """Finds that the count of a list is not what is stored; reading it in full fails."""

    def __init__(self, *_: object, **__: object) -> None:
        self.reading = Reading(StreamResult("timelines"))

    async def read(self, _plan: object, *, again: bool = False) -> None:
        if again:
            raise ListsFailed("timelines: 1 of 1 lists failed", transient=True, others_read=True)
        self.reading.disagreeing.append(Target("v", "check"))


def test_a_list_that_fails_when_it_is_read_in_full_does_not_stop_the_settlement(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[str] = []

    async def settle(_client: object, stream: Any, *_: object, **__: object) -> None:
        settled.append(stream.name)

    monkeypatch.setattr(stream_sync, "settle", settle)
    monkeypatch.setattr(stream_sync, "StreamReader", _Reader)
    context = RunContext(
        settings,
        cast("Any", _Client()),
        lake,
        Loader(lake, "run"),
        Absences(lake, "run"),
        StreamEnds(lake),
        Spelling(()),
        Quiet(),
    )
    one = StreamSync(context, STREAMS["timelines"], parents_seen=True)
    with pytest.raises(ListsFailed):
        anyio.run(one.run)
    assert (settled, one.result.status) == (["timelines"], "failed")
