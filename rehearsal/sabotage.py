"""How each kind of fault is carried out on the wire.

Params by kind (all optional):
    429: ``retry_after`` seconds or verbatim text, ``as_date`` to send the seconds as a date;
    403_business: ``code``;
    garbage: ``body`` any JSON value;
    status: ``status`` (410), ``body`` as text (empty), ``headers`` by name;
    truncated, truncated_json: ``share`` of the body that is sent (0.6);
    slow: ``seconds`` before the answer (0.5);
    drip: ``seconds`` for the whole body (1.0), ``chunks`` (20);
    bad_records: ``kinds`` (all of BAD_RECORDS), ``at`` rows after the page's first (1).
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime

import msgspec
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rehearsal.abp import AbpError, abp_response, internal, json_response
from rehearsal.faults import Fault

_GATEWAY_PAGE = (
    "<!DOCTYPE html><html><head><title>{0}</title></head>"
    "<body><center><h1>{0}</h1></center><hr><center>gateway</center></body></html>"
)
_WINDOW_CLOSED = "Voxa:WhatsApp:ServiceWindowExpired"
_NAP = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Connection = Callable[[Scope], asyncio.Transport | None]
"""Finds the transport that a request came in on."""

Clock = Callable[[], datetime]
"""Gives the time that answers are dated with."""


def _too_many(fault: Fault, now: datetime) -> Response:
    after = fault.params.get("retry_after")
    headers = {}
    if fault.params.get("as_date"):
        # A date has whole seconds: round up, or the wait would be shorter than required.
        when = now + timedelta(seconds=float(after or 0) + 1)
        headers["Retry-After"] = format_datetime(when, usegmt=True)
    elif after is not None:
        headers["Retry-After"] = str(after)
    return Response("", 429, headers=headers)


def _business(fault: Fault) -> Response:
    code = fault.params.get("code", _WINDOW_CLOSED)
    return abp_response(AbpError(403, "The service window has expired.", code=code))


def _no_scope(_: Fault) -> Response:
    return Response("", 403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


def _garbage(fault: Fault) -> Response:
    return json_response(msgspec.json.encode(fault.params.get("body", {"status": "ok", "v": 3})))


def _status(fault: Fault) -> Response:
    params = fault.params
    return Response(params.get("body", ""), params.get("status", 410), params.get("headers", {}))


def _page(status: int, title: str) -> Callable[[Fault], Response]:
    return lambda _: HTMLResponse(_GATEWAY_PAGE.format(title), status)


ANSWERS: dict[str, Callable[[Fault], Response]] = {
    "401": lambda _: Response("", 401, headers={"WWW-Authenticate": "Bearer"}),
    "403_business": _business,
    "403_scope": _no_scope,
    "404_abp": lambda _: abp_response(AbpError(404, "There is no such entity!")),
    "404_html": _page(404, "404 Not Found"),
    "500": lambda _: abp_response(internal()),
    "502": _page(502, "502 Bad Gateway"),
    "503": _page(503, "503 Service Temporarily Unavailable"),
    "empty": lambda _: json_response(b""),
    "html": _page(200, "Please wait"),
    "garbage": _garbage,
    "status": _status,
    "empty_list": lambda _: json_response(b'{"totalCount":0,"items":[]}'),
}
"""Faults that are an answer of their own, whatever the time."""


class Saboteur:
    """Carries out the faults that are not merely another answer."""

    def __init__(self, app: ASGIApp, connection: Connection, clock: Clock) -> None:
        self.app, self.connection, self.clock = app, connection, clock
        self.is_stopping = False

    async def strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with this fault."""
        if fault.kind in ANSWERS:
            await ANSWERS[fault.kind](fault)(scope, receive, send)
        elif fault.kind == "429":
            await _too_many(fault, self.clock())(scope, receive, send)
        elif fault.kind == "reset":
            await self._hang_up(scope, receive, reset=True)
        elif fault.kind.startswith("truncated"):
            await self._truncate(fault, scope, receive, send)
        elif fault.kind == "drip":
            await self._drip(fault, scope, receive, send)
        else:
            if fault.kind == "slow":
                await self._pause(fault.params.get("seconds", 0.5))
            await self.app(scope, receive, send)

    async def _hang_up(self, scope: Scope, receive: Receive, *, reset: bool) -> None:
        transport = self.connection(scope)
        if transport is None:
            return
        if reset:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        else:
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _truncate(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await self._capture(scope, receive)
        cut = body[: int(len(body) * fault.params.get("share", 0.6))]
        if fault.kind == "truncated_json":
            await send(_with_length(start, len(cut)))
            await send({"type": "http.response.body", "body": cut})
            return
        await send(_with_length(start, len(body) + 1))
        await send({"type": "http.response.body", "body": cut, "more_body": True})
        await self._hang_up(scope, receive, reset=False)

    async def _drip(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await self._capture(scope, receive)
        chunks = fault.params.get("chunks", 20)
        size = max(1, -(-len(body) // chunks))
        await send(start)
        for begin in range(0, len(body), size):
            part = body[begin : begin + size]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await self._pause(fault.params.get("seconds", 1.0) / chunks)
        await send({"type": "http.response.body", "body": b""})

    async def _capture(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """What the service would have answered."""
        starts: list[Message] = []
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                starts.append(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, keep)
        return starts[0], b"".join(parts)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but never longer than the server runs."""
        naps = max(1, round(seconds / _NAP))
        for _ in range(naps):
            if self.is_stopping:
                return
            await asyncio.sleep(seconds / naps)


def _with_length(start: Message, length: int) -> Message:
    headers = [(key, value) for key, value in start["headers"] if key != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}
