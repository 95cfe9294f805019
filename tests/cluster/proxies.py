"""What can happen between us and a server: cut connections, refusals, silence, lost requests."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK = 65_536
#: Bytes by which a stated length is wrong, and bytes of content that trickles.
_WRONG = 100
_TRICKLE = 2_000


class TcpProxy:
    """Passes connections on to a server; cuts one as soon as `cuts` is true of what is sent.

    Args:
        port: of the server, on this machine.

    Attributes:
        port: to connect to.
        cuts: of bytes sent to the server; what it is true of still reaches the server, whose
            answer goes nowhere.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts: Callable[[bytes], bool] = lambda _: False
        self.has_cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass, args=(ours, theirs), daemon=True).start()

    def _pass(self, ours: socket.socket, theirs: socket.socket) -> None:
        with ours, theirs, suppress(OSError):
            while True:
                ready, _, _ = select.select([ours, theirs], [], [])
                for one in ready:
                    data = one.recv(_CHUNK)
                    if not data:
                        return
                    (theirs if one is ours else ours).sendall(data)
                    if one is ours and self.cuts(data):
                        self._cut(theirs)
                        return

    def _cut(self, theirs: socket.socket) -> None:
        """Wait for the server's answer, so that it has done what was sent, and drop it."""
        theirs.settimeout(10)
        theirs.recv(_CHUNK)
        self.cuts = lambda _: False
        self.has_cut.set()


class S3Proxy(ThreadingHTTPServer):
    """Passes requests on to an S3 server, or does to them what `trouble` names.

    Args:
        port: of the server, on this machine.

    Attributes:
        trouble: of method and path: None to pass a request on; a status with S3's word for it to
            answer; `lost` to pass it on and drop the answer; `cut` to drop half of its content;
            `longer` or `shorter` to state so; `trickles` to send it slowly; seconds to hold it.
        page: objects that a list gives at once; None = as many as the server does.
        seen: methods and paths.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = port
        self.trouble: Callable[[str, str], tuple[int, str] | str | float | None] = lambda *_: None
        self.page: int | None = None
        self.seen: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A client that gave up is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        server = self.server
        assert isinstance(server, S3Proxy)
        server.seen.append((self.command, self.path))
        body = self._body()
        trouble = server.trouble(self.command, self.path)
        if isinstance(trouble, tuple):
            self._answer(*trouble)
            return
        if isinstance(trouble, float):
            time.sleep(trouble)
        self._pass_on(server.target, body, trouble)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - http.server names them

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["Transfer-Encoding"]
        self.headers["Content-Length"] = str(sum(map(len, chunks)))
        return b"".join(chunks)

    def _answer(self, status: int, code: str) -> None:
        content = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _pass_on(self, port: int, body: bytes, trouble: object) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        connection.request(self.command, self._path(), body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if trouble == "lost":
            self._hang_up()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server"):
                self.send_header(name, value)
        stated = len(content)
        if self.command == "HEAD":
            stated = int(answer.getheader("Content-Length") or 0)
        wrong = {"longer": _WRONG, "shorter": -_WRONG}.get(str(trouble), 0)
        self.send_header("Content-Length", str(max(0, stated + wrong)))
        self.end_headers()
        self._send(content, trouble)

    def _path(self) -> str:
        assert isinstance(self.server, S3Proxy)
        page = self.server.page
        is_list = page is not None and "list-type=2" in self.path
        return f"{self.path}&max-keys={page}" if is_list else self.path

    def _send(self, content: bytes, trouble: object) -> None:
        if trouble == "trickles":
            for at in range(0, len(content), _TRICKLE):
                self.wfile.write(content[at : at + _TRICKLE])
                time.sleep(0.01)
            return
        self.wfile.write(content[: len(content) // 2] if trouble == "cut" else content)
        if trouble in ("cut", "longer"):
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""
