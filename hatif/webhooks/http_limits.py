"""Standing limits on what HTTP clients may take of the receiver: connections, headers, time.

A client that sends nothing, or a byte now and then, costs a connection and some kilobytes until its
time is up. When there are too many connections, the one that has waited longest for a whole request
is closed: a request that is sent at once is answered, however many connections are idle.
"""

from __future__ import annotations

import asyncio
import re
import resource
from collections import OrderedDict
from contextlib import suppress
from typing import Any, ClassVar

from httptools import HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes of a request's line and headers, and how many headers.
MOST_HEADER_BYTES = 64 << 10
MOST_HEADERS = 200
#: Seconds for a request's headers, for its body and answer, and between two requests.
HEADER_SECONDS = 15.0
REQUEST_SECONDS = 150.0
IDLE_SECONDS = 75.0
#: Connections at a time, as far as the system's limit on open files allows.
MOST_CONNECTIONS = 4_096
_OTHER_FILES = 64
# Bytes read on of a request whose headers are rejected, so that the client sees the answer.
_DISCARDED = 8 << 20
_LINGER_SECONDS = 3.0
_UPGRADE = re.compile(rb"(\r\n)upgrade[ \t]*:", re.IGNORECASE)
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


def connection_limit() -> int:
    """Return how many connections may be open; raise the limit on open files as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    return max(_OTHER_FILES, min(MOST_CONNECTIONS, soft - _OTHER_FILES))


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits.

    `limit` is set on a subclass for one server; see `protocol_with`.
    """

    limit: ClassVar[int] = MOST_CONNECTIONS
    #: Open connections, the one that has waited longest for a request first.
    waiting: ClassVar[OrderedDict[LimitedProtocol, None]] = OrderedDict()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._reads_headers = True
        self._head = b""  # what was received of a request whose headers are not complete
        self._rejected = False
        self._discarded = 0
        self._offers_upgrade = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; let go of the one that waits longest where there are too many."""
        super().connection_made(transport)
        self.waiting[self] = None
        self._arm(HEADER_SECONDS)
        if len(self.waiting) > self.limit:
            self._drop_one()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.waiting.pop(self, None)
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; reject headers that grow without end."""
        if self._rejected:
            self._discard(data)
            return
        if self._reads_headers:
            self._head = self._head + data if self._head else data
        super().data_received(data)
        if self._offers_upgrade:
            self._ignore_upgrade()
        elif not self._reads_headers:
            self._head = b""
        elif len(self._head) > MOST_HEADER_BYTES:
            self._reject()

    def on_message_begin(self) -> None:
        """Begin a request: its headers have their time from now on."""
        super().on_message_begin()
        self._reads_headers = True
        self._arm(HEADER_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind a body are of no use and would only grow."""
        if self._reads_headers and len(self.headers) <= MOST_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the body, unless the headers are too large."""
        self._reads_headers = False
        if self.parser.should_upgrade():
            self._offers_upgrade = True
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MOST_HEADER_BYTES or len(self.headers) > MOST_HEADERS:
            self._reject()
            return
        self._arm(REQUEST_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        if not (self._rejected or self._offers_upgrade):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: the client has shown that it is one."""
        if not (self._rejected or self._offers_upgrade):
            self.waiting.move_to_end(self)
            self._reads_headers, self._head = True, b""
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._arm(IDLE_SECONDS)

    def shutdown(self) -> None:
        """Stop: answer what is whole, and give what is still arriving a moment."""
        super().shutdown()
        if not self.is_answering():
            self._arm(_LINGER_SECONDS)

    def is_answering(self) -> bool:
        """Return whether a whole request waits for its answer."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _drop_one(self) -> None:
        oldest = next((one for one in self.waiting if not one.is_answering()), None)
        if oldest is not None:
            self.waiting.pop(oldest)
            oldest.abort()

    def _ignore_upgrade(self) -> None:
        """Read a request that offers another protocol as one that does not.

        The parser leaves out its body, and an event would be answered 200 without being stored.
        """
        head, self._head = self._head, b""
        self._offers_upgrade = False
        lines, end, body = head.partition(b"\r\n\r\n")
        renamed = _UPGRADE.sub(rb"\1X-Upgrade:", lines)
        if renamed == lines:  # CONNECT, or behind another request: it will be sent again
            self.abort()
            return
        self.parser = HttpRequestParser(self)
        self._reads_headers = True
        self.data_received(renamed + end + body)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: an offer may be ignored."""

    def _reject(self) -> None:
        self._rejected = True
        self.transport.write(_TOO_LARGE)
        self._arm(_LINGER_SECONDS)

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > _DISCARDED:
            self.abort()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self.abort)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()


def protocol_with(limit: int) -> type[LimitedProtocol]:
    """Return the protocol of a server that takes so many connections."""
    return type("Protocol", (LimitedProtocol,), {"limit": limit, "waiting": OrderedDict()})
