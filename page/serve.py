"""Serving the page until a signal."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn

from hatif.errors import SettingsError
from page import gate
from page.app import Options, Page
from page.errors import CannotServe
from warehouse.settings.environment import Settings

#: A sync that wants the processor has it first: with twenty viewers it then takes no longer.
_NICE = 5
#: The shortest password that is taken.
SHORTEST = 8


def require_password(settings: Settings, host: str) -> None:
    """See that a page that other machines reach has a password, or a proxy that authenticates.

    Raises:
        SettingsError: it has none, or one that is soon guessed.
    """
    password = settings.page_password
    if password is None and settings.page_proxy is None and not gate.is_loopback(host):
        raise SettingsError(
            f"HATIF_PAGE_PASSWORD: not set. Other machines reach {host}: set a password, or listen "
            "on 127.0.0.1, or name a proxy that authenticates (HATIF_PAGE_PROXY)"
        )
    if password is not None and len(password.get_secret_value()) < SHORTEST:
        raise SettingsError(f"HATIF_PAGE_PASSWORD: needs at least {SHORTEST} characters")


def serve(
    settings: Settings,
    host: str,
    port: int,
    options: Options,
    announce: Callable[[str], None],
) -> None:
    """Serve the page until SIGTERM or SIGINT.

    Args:
        settings: where the warehouse is.
        host: address to listen on.
        port: 0 picks a free one.
        options: how.
        announce: called with the address once it is listened on.

    Raises:
        SettingsError: it would be open to others without a password.
        HomeError: there is no warehouse, or one of an older version.
        CannotServe: the address is taken or not ours.
    """
    require_password(settings, host)
    os.nice(_NICE)
    page = Page(settings, options)
    page.reader.read(lambda *_: None)  # the first viewer finds the lake open
    config = uvicorn.Config(
        page.application,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        limit_concurrency=500,
        # A proxy on this machine says whom it asks for; one that authenticates is known by its own
        # address.
        proxy_headers=settings.page_proxy is None,
        forwarded_allow_ips="127.0.0.1,::1",
        ws="none",
    )
    server = uvicorn.Server(config)
    listening = _listen(host, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until uvicorn has handlers of its own; it raises the signal once more when it is done.
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    with listening, closing(page.reader):
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{listening.getsockname()[1]}/")
        server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another --port"
        ) from None
