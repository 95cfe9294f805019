"""Worlds to test in: a rehearsal server, a home of one's own, and a full sync between them."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hatif.errors import HatifError
from hatif.reading import StreamResult
from hatif.sender import RetryPolicy
from hatif.streams import STREAMS
from rehearsal import Quirks, RehearsalServer, WorldSpec
from sync.session import RunOptions, open_session
from tests.template import make_home
from warehouse.settings.environment import Settings

Serve = Callable[..., RehearsalServer]

# Python's collector of cycles took a third of the time of imports and of collecting the tests.
gc.set_threshold(50_000, 20, 20)

#: As patient as the real policy, in a hundredth of its time.
IMPATIENT = RetryPolicy(attempts=8, base=0.005, cap=0.3, patience=5.0)


#: Seconds for the fixtures of a test to end, and for a test to notice its timeout.
_PATIENCE = 120
_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the place for stacks: later, what is written there is captured."""
    config.stash[_stderr] = os.dup(sys.__stderr__.fileno())


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """End a process whose test does not heed its timeout: it hangs in code that is not Python.

    Another goes on in its place, and the test has failed.
    """
    _end_after(settings.timeout + _PATIENCE, item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Likewise where fixtures hang as their test did: its timeout was used up."""
    _end_after(_PATIENCE, item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    """Nothing hangs."""
    faulthandler.cancel_dump_traceback_later()


def _end_after(seconds: float, item: pytest.Item) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=item.config.stash[_stderr])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's HATIF_* variables, .env file or Dagster home.

    The command is on PATH, as in a shell where it was put there.
    """
    for name in list(os.environ):
        if name.startswith("HATIF_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start rehearsal servers of any size and temper; stopped in the end."""
    servers: list[RehearsalServer] = []

    def start(quirks: Quirks | None = None, **sizes: Any) -> RehearsalServer:
        sizes = {"contacts": 60, "conversations": 40, "events": 800, **sizes}
        server = RehearsalServer(WorldSpec(**sizes), quirks or Quirks())
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def stores_of(_: Path) -> dict[str, str]:
    """Catalog and lake of a home: its own files; tests/cluster/everywhere.py has others."""
    return {}


def settings_for(server: RehearsalServer, home: Path, **more: object) -> Settings:
    """Settings of a home that reads this server without a request budget."""
    return Settings.load(
        home=home,
        base_url=server.url,
        client_id=server.client_id,
        client_secret=server.client_secret,
        **{"requests_per_minute": 0, **stores_of(home), **more},
    )


def full_sync(
    settings: Settings, *streams: str, options: RunOptions | None = None
) -> dict[str, StreamResult]:
    """Sync streams in full, one after the other, as the assets do."""
    return sync(settings, *streams, options=options or RunOptions(full=True, retry=IMPATIENT))


def sync(
    settings: Settings, *streams: str, options: RunOptions | None = None
) -> dict[str, StreamResult]:
    """Sync what is due, one stream after the other; a failed one leaves the others."""
    options = options or RunOptions(retry=IMPATIENT)
    make_home(settings)
    with open_session(settings, options) as session:
        for stream in streams or STREAMS:
            try:
                session.sync(stream)
            except HatifError:
                continue  # its result says so
        return session.results
