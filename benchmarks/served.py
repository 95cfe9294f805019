"""A server whose pages were rendered beforehand, so that what is measured is the sync.

Only what a sync of timelines needs; run as ``python -m benchmarks.served CONVERSATIONS EVENTS``,
it prints its address when it listens.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import msgspec
import uvicorn

_PAGE = 500
_BODY = "السلام عليكم، هل الطلب جاهز؟ Order status please. " * 2
_EMPTY = b'{"totalCount":0,"items":[]}'


def _guid(serial: int) -> str:
    """A sequential id of January 2026, a millisecond apart."""
    text = f"{0x3A1F00000000 + serial:012x}{serial:020x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _event(serial: int, conversation: str, channel: str) -> dict[str, Any]:
    minute, second = divmod(serial % 3600, 60)
    return {
        "eventId": _guid(serial),
        "conversationId": conversation,
        "contactId": _guid(9),
        "channelId": channel,
        "sourceType": 2,
        "sourceId": _guid(serial + 1),
        "direction": 1 + serial % 2,
        "creationTime": f"2026-10-{1 + serial % 28:02d}T10:{minute:02d}:{second:02d}Z",
        "status": ("Read", "Delivered", "Sent")[serial % 3],
        "errorCode": None,
        "failureReason": None,
        "isAi": serial % 7 == 0,
        "attachment": None,
        "ownerUserId": _guid(11),
        "aiAgentId": None,
        "durationOrSize": None,
        "ringingDuration": None,
        "body": _BODY[: 20 + serial % 80],
        "handlerName": "Agent",
        "aiSummary": None,
        "replyTo": None,
        "internalThread": None,
        "location": None,
        "assignation": None,
    }


def _render(conversations: int, events: int) -> dict[str, list[bytes]]:
    """All pages by path; a conversation's events are newest first."""
    channel = _guid(1)
    ids = [_guid(1_000_000_000 + 7 * n) for n in range(conversations)]
    listed = [
        {
            "id": conversation,
            "status": 1,
            "lastActivityAt": f"2026-11-{20 - n % 20:02d}T10:00:00Z",
            "contactId": _guid(9),
            "channelId": channel,
            "lastEventsCount": events // conversations,
            "tags": [],
        }
        for n, conversation in enumerate(ids)
    ]
    listed.sort(key=lambda one: str(one["lastActivityAt"]), reverse=True)
    pages = {
        "/v1/channels/service-account": [_page([{"id": channel, "name": "bench", "type": 3}], 1)],
        "/v1/workspaces/users": [b"[]"],
        "/v1/contact-property-definitions": [b"[]"],
        f"/v2/conversations/service-account/channels/{channel}": _pages(listed),
    }
    per = events // conversations
    for n, conversation in enumerate(ids):
        rows = [_event(n * per + i, conversation, channel) for i in range(per)]
        rows.sort(key=lambda one: str(one["creationTime"]), reverse=True)
        pages[f"/v2/conversations/service-account/{conversation}/timeline"] = _pages(rows)
    return pages


def _pages(rows: list[dict[str, Any]]) -> list[bytes]:
    """Whole pages from every offset that a reader with our overlap requests come from slices."""
    encoded = [msgspec.json.encode(row) for row in rows]
    return encoded or [b""]


def _page(rows: list[dict[str, Any]], total: int) -> bytes:
    return msgspec.json.encode({"totalCount": total, "items": rows})


class App:
    """A bare ASGI application over rendered records; whole lists of one page are kept rendered."""

    def __init__(self, conversations: int, events: int) -> None:
        self._lists = _render(conversations, events)
        self._whole: dict[tuple[str, int, int], bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        body = self._answer(scope["path"], scope["query_string"].decode())
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def prerender(self) -> None:
        """Make every first page now."""
        for path, rows in self._lists.items():
            if path.startswith("/v2"):
                for skip in range(0, len(rows), _PAGE - _PAGE // 50):
                    self._slice(path, skip, _PAGE)

    def _answer(self, path: str, query: str) -> bytes:
        if path == "/connect/token":
            return b'{"access_token":"bench","expires_in":1296000}'
        rows = self._lists.get(path)
        if rows is None:
            return _EMPTY
        if not path.startswith("/v2"):
            return rows[0]
        given = parse_qs(query)
        return self._slice(path, int(given["SkipCount"][0]), int(given["MaxResultCount"][0]))

    def _slice(self, path: str, skip: int, take: int) -> bytes:
        key = (path, skip, take)
        page = self._whole.get(key)
        if page is None:
            rows = self._lists[path]
            items = b",".join(rows[skip : skip + take])
            page = b'{"totalCount":%d,"items":[%s]}' % (len(rows), items)
            self._whole[key] = page
        return page


def serve(app: Any) -> None:
    """Serve an ASGI application on a free port; its address is printed when it listens."""
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)

    async def listen() -> None:
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"http://127.0.0.1:{port}\n")
        sys.stdout.flush()
        await server.main_loop()

    asyncio.run(listen())


@contextmanager
def running(module: str, *arguments: str) -> Iterator[str]:
    """The address of a server, a module that prints it, in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def main() -> None:
    """Render, listen, say where."""
    app = App(int(sys.argv[1]), int(sys.argv[2]))
    app.prerender()
    serve(app)


if __name__ == "__main__":
    main()
