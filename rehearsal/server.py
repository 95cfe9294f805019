"""The stage on a real socket: in a background thread for tests, in the foreground for people."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Scope

from rehearsal.app import build_app
from rehearsal.spec import Quirks, WorldSpec
from rehearsal.stage import Stage

_START_SECONDS = 10
_LIVE_SECONDS = 2


class PortUnavailable(Exception):
    """The server cannot listen on that port; the message names what to do."""


class RehearsalServer(Stage):
    """The rehearsal service on 127.0.0.1; a context manager that starts and stops it.

    Args:
        spec: the world to build.
        quirks: how the service behaves at first.
        port: 0 takes any free one; it is bound at once, so ``url`` is known before the start.
        webhook_dir: the folder in which control requests over HTTP may write webhook files.

    Raises:
        PortUnavailable: another program has the port, or it is none.
    """

    def __init__(
        self,
        spec: WorldSpec | None = None,
        quirks: Quirks | None = None,
        port: int = 0,
        webhook_dir: Path | None = None,
    ) -> None:
        self._socket = _bound(port)  # at first: building a large world takes minutes
        super().__init__(spec, quirks)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._gate = build_app(self, self._transport, webhook_dir)
        config = uvicorn.Config(
            self._gate,
            loop="asyncio",
            ws="none",
            lifespan="off",
            access_log=False,
            date_header=False,  # the gate sends the world's time
            log_config=None,
            log_level="error",
            timeout_graceful_shutdown=2,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="rehearsal", daemon=True)

    def start(self) -> Self:
        """Serve in a background thread; returns when requests are answered.

        Raises:
            RuntimeError: the server did not come up.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the rehearsal server did not start on {self.url}")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop serving and wait for the thread to end; harmless when never started."""
        self._gate.saboteur.is_stopping = True
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        self._uvicorn.run(sockets=[self._socket])

    def _transport(self, scope: Scope) -> asyncio.Transport | None:
        """The connection of a request: a fault may cut it."""
        client = tuple(scope["client"])
        for connection in self._uvicorn.server_state.connections:
            if getattr(connection, "client", None) == client:
                transport: asyncio.Transport = connection.transport
                return transport
        return None


def _bound(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        bound.close()
        reason = error.strerror if isinstance(error, OSError) else "a port is at most 65535"
        raise PortUnavailable(
            f"cannot listen on 127.0.0.1:{port} ({reason}); choose another --port, or 0 for any "
            "free one"
        ) from None
    return bound


def serve(
    spec: WorldSpec,
    quirks: Quirks,
    port: int,
    fault_rate: float,
    announce: Callable[[RehearsalServer], None],
    live: Callable[[RehearsalServer], object] | None = None,
    webhook_dir: Path | None = None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; call it from the main thread.

    Args:
        spec: the world to build.
        quirks: how the service behaves at first.
        port: 0 takes any free one.
        fault_rate: share of all requests that fail in a way that passes.
        announce: called once, when requests are answered.
        live: called every two seconds, to let time pass.
        webhook_dir: the folder in which control requests over HTTP may write webhook files.

    Raises:
        PortUnavailable: another program has the port, or it is none.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        with RehearsalServer(spec, quirks, port, webhook_dir) as server:
            server.fault_rate(fault_rate, seed=spec.seed)
            announce(server)
            while not stop.wait(_LIVE_SECONDS):
                if live is not None:
                    live(server)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
