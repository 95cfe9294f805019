"""A shared server for tests that only read, an own one for tests that change something."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import httpx
import pytest

from rehearsal import Quirks, RehearsalServer, WorldSpec

SMALL = WorldSpec(contacts=60, conversations=60, events=900, odd_texts=0.1, unknown_codes=0.02)

CONTACTS = "/v1/contacts"
TAGS = "/v1/tags/service-account"
CHANNELS = "/v1/channels/service-account"
USERS = "/v1/workspaces/users"
DEFINITIONS = "/v1/contact-property-definitions"
CONVERSATION = "/v2/conversations/service-account"


class Client:
    """Speaks plain HTTP to a server, with a token unless given otherwise."""

    def __init__(self, server: RehearsalServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=5)

    def ask_token(self, **changed: str | None) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.server.client_id,
            "client_secret": self.server.client_secret,
            "scope": "VoxaAPI",
        } | changed
        return self.http.post("/connect/token", data={k: v for k, v in form.items() if v})

    def log_in(self, **changed: str | None) -> "Client":
        token = self.ask_token(**changed).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        return self

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def all(self, path: str, size: int = 1000, **query: Any) -> list[dict[str, Any]]:
        """Every row of a paged list, keys in lower case."""
        rows: list[dict[str, Any]] = []
        while True:
            page = lower(self.get(path, SkipCount=len(rows), MaxResultCount=size, **query).json())
            rows += page["items"]
            if len(rows) >= page["totalcount"] or not page["items"]:
                return rows

    def conversations(self, **query: Any) -> list[dict[str, Any]]:
        channels = [channel["id"] for channel in self.all(CHANNELS)]
        return [row for c in channels for row in self.all(f"{CONVERSATION}/channels/{c}", **query)]


def lower(value: Any) -> Any:
    """Keys in lower case, except those that belong to their authors."""
    if isinstance(value, dict):
        return {
            key.lower(): item if key.lower() == "customfields" else lower(item)
            for key, item in value.items()
        }
    return [lower(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def _shared() -> Iterator[RehearsalServer]:
    with RehearsalServer(SMALL) as server:
        yield server


@pytest.fixture
def calm(_shared: RehearsalServer) -> Iterator[Client]:
    """A logged-in client of a world that nobody may change."""
    client = Client(_shared).log_in()
    yield client
    client.http.close()


@pytest.fixture(scope="session")
def _lent() -> Iterator[RehearsalServer]:
    with RehearsalServer(SMALL) as server:
        yield server


@pytest.fixture
def quirky(_lent: RehearsalServer) -> Iterator[RehearsalServer]:
    """A world to leave as it is, with quirks and faults to play with: both end with the test."""
    _lent.requests.clear()
    yield _lent
    _lent.clear_faults()
    _lent.set_quirks(**asdict(Quirks()))


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    """A world of one's own."""
    with RehearsalServer(SMALL) as server:
        yield server


@pytest.fixture
def client(server: RehearsalServer) -> Iterator[Client]:
    """A logged-in client of ``server``."""
    client = Client(server).log_in()
    yield client
    client.http.close()
