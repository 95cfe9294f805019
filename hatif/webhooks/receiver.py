"""``hatif collect``: takes webhooks over HTTP and puts them on disk, unread, before it answers 200.

The sender tries again after a 5xx, not after a 4xx, and never after about an hour. So whatever can
be kept is kept: content is not parsed, only its size counts, and its signature where every channel
has a secret. A body that stops arriving is given up, and so is the one that has been arriving
longest when bodies take too much memory; other limits on clients are in `http_limits`.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvicorn

from hatif.errors import HatifError, HomeError
from hatif.webhooks.http_limits import IDLE_SECONDS, connection_limit, protocol_with
from hatif.webhooks.parse import LARGEST
from hatif.webhooks.routing import PATH_HEADER, Router
from hatif.webhooks.segments import ROTATION, Journal, try_directory
from hatif.webhooks.signatures import HEADER, Secrets
from hatif.webhooks.validate import Envelope, is_secret_header

PATH = "/webhooks/hatif"
#: Bytes of bodies held at a time, those that wait for the disk included.
_HELD = 64 << 20
#: Bytes read on of a body too large, so that the sender sees why it is rejected.
_PATIENCE = 8 << 20
#: Seconds without progress after which a body is given up, and seconds for all of it.
_STALLED = 30.0
_LONGEST = 120.0
_GRACE = 10  # seconds to answer open requests when stopping
#: A disk without room may have some soon, and bodies are answered 503 until then.
_PASSING = (errno.ENOSPC, errno.EDQUOT)
_HAS_BODY = frozenset({b"content-length", b"transfer-encoding"})

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Gone(Exception):
    """The client went away in the middle of its body."""


class _Body:
    """A body: what arrived of it, the bytes that count as held, and what ends the wait for it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.held = 0
        self.timeout = asyncio.timeout(_STALLED)


class _Uploads:
    """Bodies that are arriving or waiting for the disk, and the memory they take."""

    def __init__(self) -> None:
        self._held = 0
        self._arriving: dict[_Body, None] = {}

    @contextmanager
    def arriving(self, body: _Body) -> Iterator[None]:
        """Count a body as arriving: it can be given up."""
        self._arriving[body] = None
        try:
            yield
        finally:
            self._arriving.pop(body, None)

    def hold(self, body: _Body, part: bytes) -> bool:
        """Add a part to a body; return whether that, or an earlier one, made it be given up.

        Where there are too many bytes, the bodies arriving longest are given up, and are free at
        once: were they freed as their tasks end, each part until then would cost another body.
        """
        if body in self._arriving:
            body.parts.append(part)
            body.held += len(part)
            self._held += len(part)
        while self._held > _HELD and self._arriving:
            oldest = next(iter(self._arriving))
            del self._arriving[oldest]
            self.release(oldest)
            if not oldest.timeout.expired():
                oldest.timeout.reschedule(asyncio.get_running_loop().time())
        return body not in self._arriving

    def release(self, body: _Body) -> None:
        """Hold a body no more."""
        self._held -= body.held
        body.held = 0
        body.parts.clear()


class _Inbox(NamedTuple):
    """Where the bodies of a workspace go, and what they must be signed by."""

    secrets: Secrets
    journal: Journal


class Receiver:
    """The application, an ASGI callable.

    Args:
        directory: where the segments go.
        secrets: by channel, for rejecting what no channel can have signed.
        rotation: seconds until a segment is closed.
        router: where several workspaces share the receiver; what belongs to none of them goes to
            `directory`, and `secrets` are those of none.
    """

    def __init__(
        self,
        directory: Path,
        secrets: Secrets,
        rotation: float = ROTATION,
        router: Router | None = None,
    ) -> None:
        self._router = router
        self._inbox = _Inbox(secrets, Journal(directory, rotation))
        self._inboxes = {
            route.name: _Inbox(route.secrets, Journal(route.directory, rotation))
            for route in (router.routes if router else ())
        }
        self._uploads = _Uploads()
        self._failed: Journal | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                status, text = await self._answer(scope, receive)
            except _Gone:
                return
            await _respond(send, status, text, head=scope["method"] == "HEAD")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as journals:
            for inbox in (self._inbox, *self._inboxes.values()):
                await journals.enter_async_context(inbox.journal)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        path, method = "/" + "/".join(filter(None, scope["path"].split("/"))), scope["method"]
        if path == "/healthz":
            return await self._health() if method in ("GET", "HEAD") else (405, "GET it")
        base, _, name = path.partition(f"{PATH}/")
        if path != PATH and (self._router is None or base or "/" in name):
            return 404, f"POST webhooks to {PATH}"
        if method != "POST":
            return 405, "POST it"
        if _HAS_BODY.isdisjoint(name.lower() for name, _ in scope["headers"]):
            return 411, "state the body's length"  # HTTP would take it for empty, and it is lost
        body = _Body()
        try:
            is_whole = await self._receive(receive, body)
            if not is_whole:
                return 413, "larger than 1 MiB"
            return await self._take(scope["headers"], b"".join(body.parts), name)
        except TimeoutError:
            return 503, "the body stopped arriving, or too many arrive at once"
        finally:
            self._uploads.release(body)

    async def _receive(self, receive: Receive, body: _Body) -> bool:
        """Receive a body; return whether that is all of it, and not too large.

        Raises:
            TimeoutError: it was given up.
        """
        clock = asyncio.get_running_loop().time
        latest = clock() + _LONGEST
        size = 0
        async with body.timeout:
            with self._uploads.arriving(body):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= LARGEST and self._uploads.hold(body, part):
                        raise TimeoutError
                    if not message.get("more_body") or size > _PATIENCE:
                        return size <= LARGEST
                    if part and not body.timeout.expired():
                        body.timeout.reschedule(min(clock() + _STALLED, latest))

    async def _take(
        self, raw: Iterable[tuple[bytes, bytes]], body: bytes, name: str
    ) -> tuple[int, str]:
        received_at = datetime.now(UTC)
        headers = _headers(raw)
        inbox = self._inbox_of(body, name)
        headers.pop(PATH_HEADER, None)
        if inbox is self._inbox and name:
            headers[PATH_HEADER] = name
        if inbox.secrets.should_reject(body, headers.get(HEADER)):
            return 401, "the signature fits no secret"
        try:
            await inbox.journal.write(_line(received_at, headers, body))
        except OSError as error:
            self._failed = inbox.journal
            return 503, f"cannot be stored: {error.strerror}"
        if self._failed is inbox.journal:
            self._failed = None
        return 200, "stored"

    def _inbox_of(self, body: bytes, name: str) -> _Inbox:
        """Return where a body goes, by what it names and the name in its path."""
        route = self._router.route(body, name) if self._router else None
        return self._inbox if route is None else self._inboxes[route.name]

    async def _health(self) -> tuple[int, str]:
        """Return whether the disk takes what comes; after it did not, try again."""
        if (failed := self._failed) is not None:
            try:
                await asyncio.to_thread(failed.probe)
            except OSError as error:
                return 503, f"the disk fails: {error.strerror}"
            self._failed = None
        return 200, "ok"


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that are kept: none that can hold a secret, no query of any address."""
    kept: dict[str, str] = {}
    for name, value in ((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in raw):
        if not is_secret_header(name):
            text = value if name == HEADER else value.partition("?")[0]
            kept[name] = f"{kept[name]}, {text}" if name in kept else text
    return kept


def _line(received_at: datetime, headers: dict[str, str], body: bytes) -> bytes:
    try:
        envelope = Envelope(received_at, dict(headers), body=body.decode())
    except UnicodeDecodeError:
        text = base64.b64encode(body).decode()
        envelope = Envelope(received_at, dict(headers), body_base64=text)
    return msgspec.json.encode(envelope) + b"\n"


async def _respond(send: Send, status: int, text: str, *, head: bool) -> None:
    content = json.dumps({"status": text}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    if status == 503:
        headers += [(b"retry-after", b"60"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})


class CannotListen(HatifError):
    """The address cannot be listened on."""


def collect(
    directory: Path,
    secrets: Secrets,
    host: str,
    port: int,
    announce: Callable[[str], None],
    router: Router | None = None,
) -> None:
    """Receive webhooks until a signal (SIGTERM, SIGINT); then answer open requests, and end.

    Args:
        directory: where to.
        secrets: by channel.
        host: to listen on.
        port: 0 picks a free one.
        announce: called with the address once it is listened on.
        router: as of `Receiver`.

    Raises:
        CannotListen: the address is taken or not ours.
        HomeError: the directory can be neither made nor written to.
    """
    _require_writable(directory)
    application = Receiver(directory, secrets, router=router)
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=int(IDLE_SECONDS),
        server_header=False,
        http=protocol_with(connection_limit()),
        ws="none",
    )
    try:
        listening = config.bind_socket() if port else _any_port(host)
    except (OSError, SystemExit):
        raise CannotListen(f"cannot listen on {host}:{port}; is the port taken?") from None
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until uvicorn has handlers of its own; it raises the signal once more when it is done.
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    with listening:
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{listening.getsockname()[1]}{PATH}")
        server.run(sockets=[listening])


def _require_writable(directory: Path) -> None:
    try:
        try_directory(directory)
    except OSError as error:
        if error.errno not in _PASSING:
            raise HomeError(
                f"cannot write webhooks to {directory}: {error.strerror}. Let this user write "
                "there, or set HATIF_WEBHOOK_DIR to another folder"
            ) from None


def _any_port(host: str) -> socket.socket:
    return socket.create_server((host, 0), family=_family(host))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
