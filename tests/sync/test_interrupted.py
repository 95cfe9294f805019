"""Ctrl-C during a sync: what was received and paid for is stored, and the next run goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from hatif.reading import Quiet
from rehearsal import Quirks
from sync.session import RunOptions, open_session
from tests.comparison import differences, stored
from tests.conftest import Serve, settings_for, sync
from warehouse.settings.environment import Settings


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Let Ctrl-C raise, also where a shell that ran the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class _Stopping(Quiet):
    """Sends Ctrl-C to the main thread once so much of a stream has arrived."""

    def __init__(self, stream: str, after: int) -> None:
        self._stream, self._left = stream, after

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:  # noqa: ARG002
        if stream != self._stream or self._left <= 0:
            return
        self._left -= by
        if self._left <= 0:
            main = threading.main_thread().ident
            assert main
            signal.pthread_kill(main, signal.SIGINT)


def _sync_until_interrupted(settings: Settings, streams: list[str], progress: _Stopping) -> None:
    with open_session(settings, RunOptions(), progress) as session:
        for stream in streams:
            session.sync(stream)
    raise AssertionError("it was not interrupted")


@pytest.mark.parametrize(
    ("streams", "after"), [(["contacts"], 50), (["channels", "conversations", "timelines"], 20)]
)
def test_what_was_received_before_ctrl_c_is_stored_and_the_next_run_goes_on(
    serve: Serve, settings: Settings, streams: list[str], after: int
) -> None:
    server = serve(Quirks(page_cap=5), contacts=400, conversations=300, events=900)
    settings = settings_for(server, settings.home)
    last = streams[-1]

    with pytest.raises(KeyboardInterrupt):
        _sync_until_interrupted(settings, streams, _Stopping(last, after))

    rows = stored(settings, f"FROM raw.records WHERE stream = '{last}'")
    assert len(rows) >= after // 2  # pages overlap
    (run,) = stored(settings, "SELECT status, error FROM ops.runs")
    assert run == {"status": "interrupted", "error": "Ctrl-C"}
    lists = stored(settings, f"SELECT count(*) AS n FROM ops.scans WHERE stream = '{last}'")
    begun = len(server.requests)
    sync(settings, *streams)
    tables = {"contacts": "contacts", "timelines": "timeline_events"}
    assert differences(settings, server, tables[last]) == []
    if last == "contacts":
        paged = [one for one in server.requests[begun:] if one.stream == last]
        assert int(paged[0].query["skipcount"]) > 0
    else:
        assert lists[0]["n"] >= after
