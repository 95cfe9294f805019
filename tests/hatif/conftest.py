"""A rehearsal server, and a client of it that does not like to wait."""

import logging
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import anyio
import pytest

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.page_reader import PageSize
from hatif.scan import Scan
from hatif.sender import Meter, RetryPolicy
from hatif.sink import Certificate
from hatif.streams import STREAMS, keys_of_streams
from hatif.wire import Spelling
from rehearsal import Quirks, RehearsalServer, WorldSpec
from warehouse.settings.environment import Settings

SMALL = WorldSpec(contacts=60, conversations=60, events=400, odd_texts=0.1)
HASTY = RetryPolicy(base=0.001, cap=0.002, patience=5.0)
SPELLING = Spelling({*keys_of_streams(), "name", "body", "tags", "channel", "totalDuration"})
CONTACTS = "/v1/contacts"
WHO = Settings.load(None, base_url="http://list", client_id="a", client_secret="b")
PAGE = {"SkipCount": 0, "MaxResultCount": 100}


def settings_for(server, **changed):
    known = {
        "base_url": server.url,
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "scope": "VoxaAPI",
    }
    return Settings.load(None, **known | changed)


@asynccontextmanager
async def connected(server, *, retry=HASTY, budget=None, **changed):
    settings = settings_for(server, **changed)
    async with HatifClient(settings, budget or Budget(0), retry=retry) as client:
        yield client


def fetch(server, path=CONTACTS, params=PAGE, **options):
    """The body of one GET, and what it took."""

    async def main():
        meter = Meter()
        async with connected(server, **options) as client:
            return await client.get(path, params, bytes, meter), meter.requests

    return anyio.run(main)


class Read:
    """What came of reading one list."""

    def __init__(self, certificate, pages):
        self.certificate, self.pages = certificate, pages
        self.verdict = str(certificate.verdict)
        self.last_began = 0  # number of the request with which its last pass began
        last = [scanned.page for scanned in pages if scanned.number == certificate.passes]
        self.ids = {record_id for page in last for record_id in page.ids}
        self.all_ids = {i for scanned in pages for i in scanned.page.ids}
        self.rejects = [reject for page in last for reject in page.rejects]


def read(server, stream, parent=None, size=100, **options):
    """Read one list to its certificate, into memory."""
    learned = size if isinstance(size, PageSize) else PageSize(size)

    async def main():
        pages = []

        async def emit(scanned):
            pages.append(scanned)

        async with connected(server, **options) as client:
            entry = STREAMS[stream] if isinstance(stream, str) else stream
            certificate = Certificate(entry.name, parent, "full")
            scan = Scan(
                client,
                entry,
                certificate,
                spelling=SPELLING,
                size=learned,
                emit=emit,
            )
            return Read(await scan.run(), pages)

    return anyio.run(main)


def some_channel(server):
    """The channel with most conversations, and their ids."""
    channel, talks = max(server.world.by_channel.items(), key=lambda pair: len(pair[1]))
    return channel, talks


def asked(server, stream):
    return [request for request in server.requests if request.stream == stream]


@pytest.fixture(scope="session")
def _lent() -> Iterator[RehearsalServer]:
    with RehearsalServer(SMALL) as server:
        yield server


@pytest.fixture
def server(_lent) -> Iterator[RehearsalServer]:
    """A world to leave as it is, with quirks and faults to play with: both end with the test."""
    _lent.requests.clear()
    _lent.tokens.issued = 0
    yield _lent
    _lent.clear_faults()
    _lent.set_quirks(**asdict(Quirks()))


@pytest.fixture
def own():
    """Make worlds of one's own."""
    started = []

    def make(quirks=None, **spec):
        sizes = {"contacts": 60, "conversations": 60, "events": 200} | spec
        server = RehearsalServer(WorldSpec(**sizes), quirks).start()
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def all_logs(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog
