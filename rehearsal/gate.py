"""The gate: every request is logged here, may be struck by a fault, and must show a token."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rehearsal.bad_records import BAD_RECORDS
from rehearsal.faults import Fault
from rehearsal.log import Request
from rehearsal.sabotage import Connection, Saboteur
from rehearsal.stage import Stage
from rehearsal.streams import Address, address

CONTROL = "/_rehearsal"
_OPEN = ("token", "other")
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Log in</title></head><body></body></html>"
_SIGN_IN: Mapping[str, Callable[[], Response]] = {
    "401": lambda: Response("", 401, headers={"WWW-Authenticate": "Bearer"}),
    "302": lambda: RedirectResponse("/account/login?returnUrl=%2Fv1", 302),
    "page": lambda: HTMLResponse(_LOGIN_PAGE),
}


class Gate:
    """Stands before the app; the control endpoints pass unseen."""

    def __init__(self, app: ASGIApp, stage: Stage, connection: Connection) -> None:
        self.app, self.stage = app, stage
        self.saboteur = Saboteur(self._admit, connection, lambda: stage.clock)
        self._recent: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self.app(scope, receive, send)
            return
        request = self._note(scope)

        async def note_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message = self._dated(message)
            await send(message)

        fault = self._draw(request, scope["address"])
        if fault is None:
            await self._admit(scope, receive, note_status)
        else:
            request.fault = fault.kind
            await self.saboteur.strike(fault, scope, receive, note_status)

    def _dated(self, start: Message) -> Message:
        if self.stage.quirks.date_header == "none":
            return start
        date = format_datetime(self.stage.clock, usegmt=True).encode()
        return {**start, "headers": [*start["headers"], (b"date", date)]}

    def _note(self, scope: Scope) -> Request:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        scope["address"] = address(scope["path"])
        scope["query"] = {name.lower(): value for name, value in query}
        headers = dict(scope["headers"])
        with self.stage.lock:
            token = self.stage.tokens.find(headers.get(b"authorization", b"").decode("latin-1"))
            request = Request(
                at=time.monotonic(),
                wall=datetime.now(UTC),
                method=scope["method"],
                path=scope["path"],
                query=scope["query"],
                stream=scope["address"].stream,
                generation=token.generation if token else None,
            )
            self.stage.requests.append(request)
        return request

    def _draw(self, request: Request, where: Address) -> Fault | None:
        """Carry out the actions that are due; return the fault to answer with, if any."""
        struck: Fault | None = None
        with self.stage.lock:
            for fault in self.stage.book.draw(request.stream, request.path):
                if callable(fault.then):
                    fault.then(self.stage)
                if fault.kind == "bad_records":
                    offset = fault.params.get("at", 1)
                    kinds = fault.params.get("kinds", BAD_RECORDS)
                    self.stage.reader.plant(where, request.query, offset, kinds)
                if struck is None and fault.kind != "none":
                    struck = fault
        return struck

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in who shows a good token and keeps within the workspace's budget."""
        rejection = None if scope["address"].stream in _OPEN else self._rejection(scope)
        await (rejection or self.app)(scope, receive, send)

    def _rejection(self, scope: Scope) -> Response | None:
        shown = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        with self.stage.lock:
            token = self.stage.tokens.find(shown)
            if token is None or not token.has_scope:
                return _SIGN_IN[self.stage.quirks.signed_out]()
            limit = self.stage.quirks.requests_per_minute
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - 60:
                self._recent.popleft()
            if limit is not None and len(self._recent) >= limit:
                return Response("", 429)
            self._recent.append(now)
        return None
