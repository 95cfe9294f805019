"""Odd requests and odd viewers: each gets its own answer, none disturbs another."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from page.view import VIEWS, Column, Part, View, find
from page.words import LANGUAGES, WORDS
from tests.page.conftest import Visit, Visitor, World, secret, serving

ADDRESSES = ("/", "/data/view/now", "/words/en.json", "/static/main.js")


@pytest.fixture(scope="module")
def port(world: World) -> Iterator[int]:
    """The port of a page that is served."""
    with serving(world.page()) as found:
        yield found


def status(port: int, request: bytes) -> int:
    """The status that a request gets, sent as it is."""
    with socket.create_connection(("127.0.0.1", port), 60) as sent:
        sent.sendall(request)
        return int(sent.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("GET /words/en.json HTTP/1.1\r\n", 421),
        ("GET /words/en.json HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("GET /words/en.json HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n", 421),
        ("GET /words/en.json HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: evil\r\n", 200),
        ("GET http://evil.example/words/en.json HTTP/1.1\r\nHost: evil.example\r\n", 421),
        ("GET /words/en.json HTTP/1.0\r\n", 421),
        ("GET /static/%2e%2e/%2e%2e/pyproject.toml HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /static/..%5c..%5cpyproject.toml HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /static/../../pyproject.toml HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET //etc/passwd HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /static/main.js%00.css HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: localhost\r\n", 405),
        ("POST /data/view/now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n", 405),
        (f"GET /?{'x' * 9_000} HTTP/1.1\r\nHost: localhost\r\n", 414),
    ],
)
def test_odd_requests_are_refused(port: int, lines: str, expected: int) -> None:
    assert status(port, f"{lines}Connection: close\r\n\r\n".encode()) == expected


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Original-URL"])
def test_what_proxies_say_opens_nothing(world: World, visit: Visit, header: str) -> None:
    locked = visit(world.page(page_password=secret()))
    for value in ("127.0.0.1", "for=127.0.0.1", "/static/main.js"):
        assert locked.get("/data/view/now", headers={header: value}).status_code == 401


def test_head_is_answered_without_a_body(visitor: Visitor) -> None:
    for path in ADDRESSES:
        answer = visitor.request("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "given",
    [
        {"channel": "nowhere"},
        {"agent": "-1", "country": "XX", "message_type": "carrier pigeon", "tag": "…"},
        {"from": "2199-01-01", "to": "2199-12-31"},
        {"from": "1970-01-01", "to": "1970-01-01", "grain": "month"},
        {"country": "-", "message_type": "-"},
    ],
)
def test_filters_that_nothing_passes_leave_views_empty_in_words(
    visitor: Visitor, given: dict[str, str]
) -> None:
    for view in find():
        parts = visitor.json(f"/data/view/{view}", **given)["parts"]
        for part in parts:
            kinds = [column["kind"] for column in part["columns"]]
            assert all(len(row) == len(kinds) for row in part["rows"])


def test_viewers_with_different_filters_get_their_own_answers(world: World, port: int) -> None:
    channels = [row["channel_id"] for row in world.server.truth("channels")]
    given = [{"period": "year", "channel": channel} for channel in channels] * 4
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        url = f"http://127.0.0.1:{port}/data/view/volume"
        answer = httpx.get(url, params=given[number], timeout=120).json()
        found[number] = answer["parts"][0]["rows"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [found[n] for n in range(len(given))] == [found[n] for n in range(len(channels))] * 4
    assert found[0] != found[1]


def test_those_who_leave_or_dawdle_hold_nobody_up(port: int) -> None:
    with ExitStack() as stack:
        for number in range(200):
            open_one = socket.create_connection(("127.0.0.1", port), 60)
            stack.enter_context(open_one)
            if number % 2:
                open_one.sendall(b"GET /data/view/volume?period=year HTTP/1.1\r\nHost: ")
        for number in range(8):  # these leave in mid-answer
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            day = f"2026-0{number + 1}-01"
            asked.request("GET", f"/data/view/people?from={day}&to=2026-10-31")
            asked.close()
        url = f"http://127.0.0.1:{port}/data/view/now"
        assert httpx.get(url, timeout=60).status_code == 200


def test_a_view_that_fails_stops_no_other(
    world: World, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    sql = "SELECT error('of ' || max(name)) AS tiny FROM core.contacts"
    part = Part("all", "figures", sql, (Column("tiny", "count"),))
    broken = View("broken", 99, (part,))
    visitor = visit(world.page(views={**find(), "broken": broken}))
    answer = visitor.get("/data/view/broken")
    assert (answer.status_code, answer.json()["problem"]) == (503, "no_warehouse")
    names = [row["name"] for row in world.server.truth("contacts") if len(row["name"] or "") > 5]
    assert [name for name in names if name in answer.text + caplog.text] == []
    for view in ("now", "trust"):
        assert visitor.get(f"/data/view/{view}").status_code == 200


def test_words_and_views_are_found_where_they_are() -> None:
    assert {folder.name for folder in WORDS.iterdir()} == set(LANGUAGES)
    for file in sorted(Path(VIEWS).glob("[!_]*.py")):
        assert all((WORDS / language / f"{file.stem}.toml").exists() for language in LANGUAGES)
