"""What clients may take of the receiver: idle, slow and greedy ones never shut it for others."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from hatif.webhooks import http_limits, receiver
from hatif.webhooks.receiver import Receiver
from hatif.webhooks.segments import Segment
from hatif.webhooks.signatures import Secrets
from pipelines.cli import main

BODY = b'{"callId":"1"}'


@contextmanager
def _serving(directory: Path, limit: int = 64, secrets: str = "") -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Receiver(directory, Secrets(secrets)),
        log_level="critical",
        http=http_limits.protocol_with(limit),
        ws="none",
        lifespan="on",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/webhooks/hatif"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _connect(url: str) -> socket.socket:
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=20)


def _head(length: int, *lines: str) -> bytes:
    head = ["POST /webhooks/hatif HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def _until_closed(client: socket.socket) -> bytes:
    answer = b""
    try:
        while part := client.recv(65_536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def _stored(directory: Path) -> list[str]:
    lines = [line for path in directory.iterdir() for line in path.read_text().splitlines()]
    return [json.loads(line)["body"] for line in lines]


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /web", _head(100), _head(100) + b"{", _head(1 << 20) + b"x" * 60_000],
    ids=["nothing", "half a line", "headers", "one byte of the body", "a part of the body"],
)
def test_clients_that_wait_never_shut_it(tmp_path: Path, sent: bytes) -> None:
    with _serving(tmp_path / "in", limit=40) as url, ExitStack() as clients:
        for number in range(120):
            client = clients.enter_context(_connect(url))
            client.sendall(sent)
            if number % 10 == 9:
                body = b'{"callId":"%d"}' % number
                assert httpx.post(url, content=body, timeout=20).status_code == 200
        assert httpx.get(url.replace("/webhooks/hatif", "/healthz")).status_code == 200
    assert len(_stored(tmp_path / "in")) == 12


def test_headers_without_end_are_refused_before_they_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "_LINGER_SECONDS", 0.2)
    with _serving(tmp_path / "in") as url:
        for head in (
            _head(0, "X: " + "y" * (5 << 20)),
            _head(0, *(f"X-{n}: y" for n in range(1_000))),
            b"POST /" + b"y" * (5 << 20),
            _head(0, *(f"X-{n}: {'y' * 1_000}" for n in range(70))),
        ):
            with _connect(url) as client:
                client.sendall(head)
                assert _until_closed(client).startswith(b"HTTP/1.1 431 ")
        with _connect(url) as client:  # as many as pass, and trailers behind a chunked body
            chunked = b"POST /webhooks/hatif HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            client.sendall(chunked + b"Connection: close\r\n\r\ne\r\n" + BODY + b"\r\n0\r\n")
            client.sendall(b"".join(b"T-%d: y\r\n" % n for n in range(1_000)) + b"\r\n")
            assert _until_closed(client).startswith(b"HTTP/1.1 200 ")
    assert _stored(tmp_path / "in") == [BODY.decode()]


def test_headers_that_never_end_and_connections_that_stay_idle_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(http_limits, "IDLE_SECONDS", 0.1)
    with _serving(tmp_path / "in") as url:
        for sent in (b"", b"POST /webhooks", _head(5)[:-2], _head(len(BODY)) + BODY):
            with _connect(url) as client:
                client.sendall(sent)
                assert _until_closed(client).startswith(b"HTTP/1.1 200 " if BODY in sent else b"")


def test_a_body_that_stops_arriving_is_given_up_and_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_STALLED", 0.1)
    with _serving(tmp_path / "in") as url:
        with _connect(url) as client:
            client.sendall(_head(100) + b"{")
            assert _until_closed(client).startswith(b"HTTP/1.1 503 ")
        assert httpx.post(url, content=BODY).status_code == 200
    assert _stored(tmp_path / "in") == [BODY.decode()]


def test_where_bodies_take_too_much_memory_the_slowest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_HELD", 1 << 20)
    with _serving(tmp_path / "in") as url, ExitStack() as clients:
        slow = []
        for _ in range(4):
            slow.append(clients.enter_context(_connect(url)))
            slow[-1].sendall(_head(1 << 20, "Expect: 100-continue"))
            assert b" 100 Continue" in slow[-1].recv(65_536)  # it is awaited, before the next
            slow[-1].sendall(b"x" * 500_000)
        assert httpx.post(url, content=b"y" * 700_000, timeout=20).status_code == 200
        assert _until_closed(slow[0]).startswith(b"HTTP/1.1 503 ")
        assert httpx.post(url, content=BODY, timeout=20).status_code == 200


def test_as_many_bodies_make_room_as_it_takes_however_many_parts_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks end a moment after they were given up, and parts of others come in that moment."""
    monkeypatch.setattr(receiver, "_HELD", 1_000)
    headers = [(b"content-length", b"1000")]
    scope = {"type": "http", "method": "POST", "path": "/webhooks/hatif", "headers": headers}

    async def post(target: Receiver, ask: asyncio.Queue[bytes], answers: dict[str, int]) -> None:
        async def receive() -> receiver.Message:
            part = await ask.get()
            return {"type": "http.request", "body": part, "more_body": part != b"}"}

        async def send(message: receiver.Message) -> None:
            answers.setdefault("status", message.get("status", 0))

        await target(scope, receive, send)

    async def upload() -> list[int]:
        target = Receiver(tmp_path / "in", Secrets(""))
        queues: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in range(5)]
        answers: list[dict[str, int]] = [{} for _ in queues]
        async with target._inbox.journal, asyncio.TaskGroup() as tasks:
            for queue, answer in zip(queues, answers, strict=True):
                tasks.create_task(post(target, queue, answer))
                queue.put_nowait(b"{" + b" " * 199)
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            for queue in queues[-2:]:
                for _ in range(5):
                    queue.put_nowait(b" " * 10)  # 1,100 bytes, so that one of 200 has to go
                    await asyncio.sleep(0)
            for queue in queues[1:]:
                queue.put_nowait(b"}")
        return [answer["status"] for answer in answers]

    assert asyncio.run(upload()) == [503, 200, 200, 200, 200]
    assert len(_stored(tmp_path / "in")) == 4


def test_slashes_and_upgrades_do_not_lose_an_event(tmp_path: Path) -> None:
    with _serving(tmp_path / "in") as url:
        for path in ("/webhooks/hatif/", "//webhooks//hatif", "/webhooks/hatif///?a=b"):
            assert httpx.post(url.replace("/webhooks/hatif", path), content=b"1").status_code == 200
        assert httpx.post(url + "/other", content=b"1").status_code == 404
        with _connect(url) as client:
            offers = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
            for body in (BODY, b"a\r\nUpgrade: b"):
                client.sendall(_head(len(body), *offers) + body)
                assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert _stored(tmp_path / "in") == ["1", "1", "1", BODY.decode(), "a\r\nUpgrade: b"]


def test_every_form_of_a_request_is_stored_or_refused_and_never_answered_200_for_nothing(
    tmp_path: Path,
) -> None:
    """HTTP takes a body whose length is not stated for an empty one."""
    chunked = b'5\r\n{"cal\r\n9;x=y\r\nlId":"1"}\r\n0\r\nX-Trailer: 1\r\n\r\n'
    begin = b"POST /webhooks/hatif HTTP/1.1\r\n"
    forms = [
        (_head(len(BODY), "Expect: 100-continue") + BODY, 200),
        (begin + b"Transfer-Encoding: chunked\r\n\r\n" + chunked, 200),
        ((_head(len(BODY)) + BODY) * 3, 200),
        (_head(len(BODY)).replace(b"/1.1", b"/1.0") + BODY, 200),
        (_head(len(BODY)).replace(b"/web", b"HTTP://x/web") + BODY, 200),
        (_head(len(BODY)).replace(b"hooks/hatif", b"%68ooks%2Fhatif") + BODY, 200),
        (begin + b"Host: x\r\nConnection: close\r\n\r\n" + BODY, 411),
        (begin.replace(b"/1.1", b"/1.0") + b"\r\n" + BODY, 411),
        (begin + b"Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, 400),
    ]
    stored = 0
    with _serving(tmp_path / "in") as url:
        for sent, status in forms:
            with _connect(url) as client:
                client.sendall(sent)
                answer = client.recv(65_536).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
                answer = answer or client.recv(65_536)
                assert answer.startswith(b"HTTP/1.1 %d " % status)
                count = sent.count(b"POST ") if status == 200 else 0
                while answer.count(b"HTTP/1.1 ") < count:
                    answer += client.recv(65_536)
            stored += count
    assert _stored(tmp_path / "in") == [BODY.decode()] * stored


@pytest.mark.parametrize(
    ("secrets", "signature", "status"),
    [
        ("", None, 200),
        ("", "00", 200),
        ("c1=right", "00", 200),  # a channel without a secret may sign with what it likes
        ("c1=right", None, 200),
        ("c1=right,*=all", "00", 401),
        ("c1=right,*=all", None, 401),
        ("c1=right,*=all", "", 401),
    ],
)
def test_a_signature_is_refused_only_where_every_channel_has_a_secret(
    secrets: str, signature: str | None, status: int
) -> None:
    assert Secrets(secrets).should_reject(BODY, signature) == (status == 401)


def test_a_folder_taken_away_meanwhile_is_made_anew_before_the_answer(tmp_path: Path) -> None:
    directory = tmp_path / "home" / "webhooks"
    with _serving(directory) as url:
        for number, take_away in enumerate(
            (shutil.rmtree, lambda folder: folder.rename(tmp_path / "elsewhere"), _remove_files)
        ):
            assert httpx.post(url, content=b"before %d" % number).status_code == 200
            take_away(directory)
            assert httpx.post(url, content=b"after %d" % number).status_code == 200
            assert _stored(directory)[-1] == f"after {number}"
        modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700


def _remove_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_where_no_thread_or_memory_can_be_had_no_event_is_lost_and_the_next_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_threads(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def without_memory(*_: object) -> None:
        raise MemoryError

    def append_without_memory(*_: object) -> None:
        raise MemoryError

    with _serving(tmp_path / "in") as url:
        for place, name, refusing in (
            (asyncio, "to_thread", without_threads),
            (asyncio, "to_thread", without_memory),
            (Segment, "append", append_without_memory),
        ):
            with monkeypatch.context() as limited:
                limited.setattr(place, name, refusing)
                assert httpx.post(url, content=b"before").status_code == 503
            assert httpx.post(url, content=b"after").status_code == 200
    assert _stored(tmp_path / "in") == ["after"] * 3


def test_a_port_that_is_none_is_a_wrong_usage() -> None:
    outcome = CliRunner().invoke(main, ["collect", "--port", "70000"])
    assert outcome.exit_code == 2
    assert "0<=x<=65535" in outcome.output


def test_bodies_that_never_end_do_not_keep_it_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "_LINGER_SECONDS", 0.1)
    with ExitStack() as clients:
        with _serving(tmp_path / "in") as url:
            slow = [clients.enter_context(_connect(url)) for _ in range(20)]
            for client in slow:
                client.sendall(_head(100) + b"{")
            assert httpx.post(url, content=BODY).status_code == 200
        assert {_until_closed(client) for client in slow} == {b""}
    assert _stored(tmp_path / "in") == [BODY.decode()]
