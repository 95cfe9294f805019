"""How a session reads a stream: what fails of it does not keep the rest from being settled."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

import sync.session
from hatif.client import HatifClient
from hatif.clock import ServiceClock
from hatif.errors import ListsFailed
from hatif.progress import Quiet, StreamResult
from hatif.reading import Reading
from hatif.streams import STREAMS
from hatif.targets import Target
from sync.session import RunOptions, Session
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings


class _Client:
    clock = ServiceClock()


class _Reader:
    """Finds that the count of a list is not what is stored; reading it in full fails."""

    def __init__(self) -> None:
        self.reading = Reading(StreamResult("timelines"))

    async def read(self, _plan: object, *, again: bool = False) -> None:
        if again:
            raise ListsFailed("timelines: 1 of 1 lists failed", transient=True, others_read=True)
        self.reading.disagreeing.append(Target("v", "check"))


def test_a_list_that_fails_when_it_is_read_in_full_does_not_stop_the_settlement(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[str] = []

    async def settle(client: object, stream: Any, *_: object, **__: object) -> None:
        settled.append(stream.name)

    monkeypatch.setattr(sync.session, "settle", settle)
    client = cast("HatifClient", _Client())
    session = Session(settings, RunOptions(), Quiet(), cast("Any", None), client, lake)
    with pytest.raises(ListsFailed):
        anyio.run(session._read_and_settle, STREAMS["timelines"], cast("Any", _Reader()))
    assert settled == ["timelines"]
