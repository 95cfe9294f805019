"""A home with a synced workspace, and a browser without a window: what asks the application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from hatif.webhooks.sources import place_of
from page.app import Options, Page
from page.gate import names_of
from page.view import VIEWS, find
from page.words import LANGUAGES, WORDS
from rehearsal import RehearsalServer, WorldSpec
from tests.conftest import full_sync, settings_for
from tests.message_files import write_message_files
from warehouse.lake.schema import open_lake
from warehouse.marts import refresh
from warehouse.merge import messages
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE
from warehouse.webhooks.ingest import ingest

PASSWORD = "correct horse battery"
INVOICE = """\
month,channel,market,category,quantity,amount,currency
2026-09,,Saudi Arabia,marketing,12,0.60,USD
2026-10,,Saudi Arabia,service,40,0.32,USD
2026-10,,Other,marketing,3,0.18,USD
"""


class Visitor:
    """Asks an application like a browser: keeps cookies, follows nothing."""

    def __init__(self, page: Page, host: str = "127.0.0.1:8090") -> None:
        self.page = page
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(page.application, client=("203.0.113.9", 5))
        self._client = httpx.AsyncClient(transport=transport, base_url=f"http://{host}")

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **more))

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **more))

    def json(self, path: str, **parameters: str) -> Any:
        answer = self.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sign_in(self, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return self.post("/login", data={"password": password}, **more)

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


Visit = Callable[..., Visitor]


class World:
    """A synced home, and the time that it lives in."""

    def __init__(self, server: RehearsalServer, settings: Settings) -> None:
        self.server = server
        self.settings = settings
        self.now = (server.now + timedelta(minutes=5)).replace(second=30, microsecond=0)

    def page(self, **more: Any) -> Page:
        options = {name: more.pop(name) for name in list(more) if name in Options.__annotations__}
        settings = self.settings.model_copy(update=more)
        options = {"clock": lambda: self.now, "is_ours": names_of("127.0.0.1"), **options}
        return Page(settings, Options(**options))


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every table made, webhooks, costs and marts included; nobody may change it."""
    with workspace(tmp_path_factory.mktemp("page")) as found:
        yield World(*found)


@contextmanager
def workspace(home: Path, **more: Any) -> Iterator[tuple[RehearsalServer, Settings]]:
    """A server, and the settings of a home that has all of it: campaigns and invoices, too."""
    spec = WorldSpec(contacts=130, conversations=50, events=1_000, channels=2, campaigns=True)
    with RehearsalServer(spec) as server:
        server.advance(timedelta(hours=6))
        server.write_webhooks(home / "webhooks")
        settings = settings_for(server, home, rate_card=str(SAMPLE), **files(server, home), **more)
        full_sync(settings)
        with open_lake(settings) as lake:
            ingest(lake, place_of(settings.webhook_location), settings.secrets)
            messages.merge_all(lake)
            refresh.refresh(lake, settings)
        yield server, settings


def files(server: RehearsalServer, home: Path) -> dict[str, str]:
    """What a workspace knows of its own messages, and what it was sent a bill for."""
    invoices = home / "invoices"
    invoices.mkdir()
    (invoices / "autumn.csv").write_text(INVOICE)
    return {**write_message_files(server, home), "invoices": str(invoices)}


@pytest.fixture(scope="package")
def visit() -> Iterator[Visit]:
    """Make visitors of a page; they leave in the end."""
    with ExitStack() as stack:

        def arrive(page: Page, **more: Any) -> Visitor:
            visitor = Visitor(page, **more)
            stack.callback(visitor.close)
            return visitor

        yield arrive


@pytest.fixture(scope="package")
def visitor(world: World, visit: Visit) -> Visitor:
    """A visitor of the page on this machine, without a password."""
    return visit(world.page())


#: Where texts stand that others wrote, and by what one tells their rows apart.
_WRITTEN = (
    ("core.contacts", "name", "contact_id"),
    ("core.tags", "name", "tag_id"),
    ("core.users", "name", "user_id"),
    ("core.channels", "name", "channel_id"),
    ("core.messages", "body", "message_key"),
    ("core.messages", "error_reason", "message_key"),
    ("ops.templates", "template", "template"),
    ("ops.message_categories", "template", "message_id"),
    ("ops.invoice_lines", "market", "amount"),
    ("ops.invoice_lines", "category", "amount"),
)


def spoil(settings: Settings, texts: Sequence[str]) -> None:
    """Put one of the texts wherever somebody else wrote one."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        for table, column, key in _WRITTEN:
            connection.execute(
                f"UPDATE {table} SET {column} = $texts[1 + (hash({key}) % {len(texts)})::INTEGER]",
                {"texts": list(texts)},
            )

    with open_lake(settings) as lake:
        lake.write("spoil the texts", work)


@contextmanager
def serving(page: Page) -> Iterator[int]:
    """A page that is served from a thread: its port."""
    config = uvicorn.Config(page.application, port=0, log_level="error")
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    listening.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


_TINY = """
from page.view import Column, Part, View

VIEW = View(
    name="tiny",
    order=0,
    parts=(
        Part(
            name="all",
            picture="figures",
            sql="SELECT count(*) AS tiny_messages FROM {messages}",
            columns=(Column("tiny_messages", "count"),),
        ),
    ),
)
"""
_WORDS = """
[tiny]
title = "%s"
question = "?"
all = "All"

[columns]
tiny_messages = "Messages"
"""


@pytest.fixture(scope="package")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a made-up view: one file, and its words in each language."""
    folder = tmp_path_factory.mktemp("added")
    (folder / "tiny.py").write_text(_TINY)
    for language in LANGUAGES:
        (folder / "words" / language).mkdir(parents=True)
        words = _WORDS % f"Tiny in {language}"
        (folder / "words" / language / "tiny.toml").write_text(words)
    return folder


@pytest.fixture(scope="package")
def tiny(world: World, visit: Visit, added: Path) -> Visitor:
    """A visitor of a page that has the made-up view, too."""
    more = {"views": find((VIEWS, added)), "words": (WORDS, added / "words")}
    return visit(world.page(**more))


def secret(text: str = PASSWORD) -> SecretStr:
    return SecretStr(text)
