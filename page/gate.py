"""Who may ask, and what every answer carries: Host, Origin, methods, content policy.

A browser lets any page send requests to 127.0.0.1, and a page whose own name was pointed there
shows in ``Host``. So only names of this server pass, and nothing that another site's page sends.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse.settings.values import parse_proxy

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
#: Addresses that are posted to.
_POSTED = frozenset({"/login", "/logout"})
_LONGEST_ADDRESS = 8_000


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address to listen on."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_of(host: str, more: Collection[str] = ()) -> Callable[[str], bool]:
    """Return what tells whether a name in ``Host`` is one of this server.

    Args:
        host: the address it listens on.
        more: further names, of a proxy in front of it.
    """
    known = {name.lower().rstrip(".") for name in (*LOOPBACK, host, *more)}
    if is_loopback(host):
        return lambda name: name in known
    known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    # No other site can have a name that is an address.
    return lambda name: name in known or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Proxy:
    """A proxy that authenticates, and names its user in a header.

    Args:
        setting: address and header, as HATIF_PAGE_PROXY has them.
    """

    def __init__(self, setting: str) -> None:
        self._address, self._header = parse_proxy(setting)

    def admits(self, request: Request) -> bool:
        """Whether a request came through it, from a user."""
        peer = request.client.host if request.client else ""
        named = request.headers.getlist(self._header)
        return peer == self._address and len(named) == 1 and bool(named[0].strip())


class Gate:
    """Middleware: refuses what no reader of this page sends, and adds the headers."""

    def __init__(self, app: ASGIApp, is_ours: Callable[[str], bool]) -> None:
        self._app = app
        self._is_ours = is_ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refusal(Request(scope))
        if refused is not None:
            status, text = refused
            await PlainTextResponse(text, status)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Return status and text for a request that goes no further."""
        method, path = request.method, request.url.path
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._is_name_of_ours(hosts[0]):
            return 421, "this server has another name"
        if len(request.url.query) + len(path) > _LONGEST_ADDRESS:
            return 414, "the address is too long"
        if method == "POST" and path in _POSTED:
            return None if _is_from_here(request) else (403, "sent by another site")
        if method not in ("GET", "HEAD"):
            return 405, "this page only reads"
        # An address can be followed from anywhere; data is asked for by our own page.
        is_followed = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        is_foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        return (403, "asked for by another site") if is_foreign and not is_followed else None

    def _is_name_of_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        return found is not None and self._is_ours(found[1].strip("[]").rstrip("."))


def _is_from_here(request: Request) -> bool:
    """Whether a form was sent by a page of this server, or by a program that is no browser."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers["host"].lower()
