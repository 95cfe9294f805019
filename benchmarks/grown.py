"""A server of any number of events, each answer computed when it is requested; it holds no rows.

Conversations of 200 events lie on lines of 5,000, begin one after the other and live a week. A
request for ``/bench/grow?conversations=N`` gives N conversations, spread over all, one event more.
Run as ``python -m benchmarks.grown CONVERSATIONS``, it prints its address when it listens.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec

from benchmarks.served import serve

EVENTS_PER_CONVERSATION = 200
_PER_LINE = 5_000
_YEAR_1 = datetime(1, 1, 1, tzinfo=UTC)
_SPAN = timedelta(days=730)
#: The newest event is of now: where nothing happened for days, time has stood still for a sync.
_START = datetime.now(UTC).replace(microsecond=0) - _SPAN
_WEEK = timedelta(days=7)
_TEXT = "السلام عليكم، هل الطلب جاهز؟ Order status please. " * 2
#: Page of a list's rows and their number, by offset and length.
_Rows = list[dict[str, Any]]


def _guid(moment: datetime, serial: int) -> str:
    """Return a sequential id, as the service makes them: it begins with its milliseconds."""
    milliseconds = (moment - _YEAR_1) // timedelta(milliseconds=1)
    text = f"{milliseconds:012x}{serial:020x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _chance(*of: int) -> int:
    """Return a number that looks random and is always the same for the same numbers."""
    mixed = 0x9E3779B97F4A7C15
    for one in of:
        mixed = (mixed ^ one) * 0xBF58476D1CE4E5B9 % 2**64
        mixed ^= mixed >> 29
    return mixed


def channel_id(number: int) -> str:
    """Return a line's id."""
    return _guid(_START, number)


def _user(number: int) -> str:
    return _guid(_START, 1_000 + number)


class Workspace:
    """A made-up workspace, computed from numbers.

    Args:
        conversations: how many; each has one contact and `EVENTS_PER_CONVERSATION` events.
    """

    def __init__(self, conversations: int) -> None:
        self.conversations = conversations
        self._spacing = (_SPAN - _WEEK) / conversations
        #: Moments of events that came since, by conversation.
        self._grown: dict[int, list[datetime]] = {}

    @property
    def lines(self) -> int:
        """How many channels there are."""
        return -(-self.conversations // _PER_LINE)

    def grow(self, conversations: int) -> int:
        """Give so many conversations, spread over all, another event; return how many it were."""
        now = datetime.now(UTC)
        step = max(1, self.conversations // conversations)
        chosen = range(0, self.conversations, step)[:conversations]
        for serial in chosen:
            self._grown.setdefault(serial, []).append(now)
        return len(chosen)

    def channels(self) -> _Rows:
        """Return the lines."""
        return [{"id": channel_id(n), "name": f"line {n}", "type": 3} for n in range(self.lines)]

    def members(self) -> _Rows:
        """Return the users."""
        return [
            {"id": _guid(_START, 2_000 + n), "userId": _user(n), "name": f"agent {n}", "role": 2}
            for n in range(12)
        ]

    def conversation(self, serial: int) -> dict[str, Any]:
        """Return a conversation as listed."""
        grown = self._grown.get(serial, [])
        last = grown[-1] if grown else self._moment(serial, EVENTS_PER_CONVERSATION - 1)
        return {
            "id": self.conversation_id(serial),
            "status": 1 + _chance(serial) % 2,
            "creationTime": _text(self._moment(serial, 0)),
            "lastActivityAt": _text(last),
            "contactId": self._contact_id(serial),
            "channelId": channel_id(serial // _PER_LINE),
            "lastEventsCount": EVENTS_PER_CONVERSATION + len(grown),
            "tags": [],
        }

    def line(self, number: int) -> list[int]:
        """Return the serials of a line's conversations, the one active last first."""
        first = number * _PER_LINE
        serials = range(first, min(first + _PER_LINE, self.conversations))
        grown = [s for s in serials if s in self._grown]
        rest = [s for s in reversed(serials) if s not in self._grown]
        return sorted(grown, key=lambda s: self._grown[s][-1], reverse=True) + rest

    def contact(self, serial: int) -> dict[str, Any]:
        """Return a contact."""
        created = _text(self._moment(serial, 0))
        return {
            "id": self._contact_id(serial),
            "name": f"contact {serial}",
            "phoneNumber": f"+9665{serial:08d}",
            "creationTime": created,
            "lastModificationTime": None,
        }

    def events(self, serial: int) -> _Rows:
        """Return a conversation's events, the newest first."""
        moments = [self._moment(serial, n) for n in range(EVENTS_PER_CONVERSATION)]
        moments += self._grown.get(serial, [])
        return [self._event(serial, n, moments[n]) for n in range(len(moments) - 1, -1, -1)]

    def conversation_id(self, serial: int) -> str:
        """Return a conversation's id."""
        return _guid(self._moment(serial, 0), 10**9 + serial)

    def _contact_id(self, serial: int) -> str:
        return _guid(self._moment(serial, 0), 2 * 10**9 + serial)

    def _moment(self, serial: int, number: int) -> datetime:
        share = number / EVENTS_PER_CONVERSATION
        return _START + self._spacing * serial + _WEEK * share

    def _event(self, serial: int, number: int, moment: datetime) -> dict[str, Any]:
        chance = _chance(serial, number)
        outbound = chance % 100 >= 45
        source = EVENTS_PER_CONVERSATION * 2 * serial + number
        return {
            "eventId": _guid(moment, 10**12 + source),
            "conversationId": self.conversation_id(serial),
            "contactId": self._contact_id(serial),
            "channelId": channel_id(serial // _PER_LINE),
            "sourceType": 2,
            "sourceId": _guid(moment, 2 * 10**12 + source),
            "direction": 2 if outbound else 1,
            "creationTime": _text(moment),
            "status": ("Read", "Delivered", "Read", "Sent", "Failed")[chance // 100 % 5],
            "errorCode": None,
            "failureReason": None,
            "isAi": outbound and chance % 7 == 0,
            "attachment": None,
            "ownerUserId": _user(chance % 12) if outbound else None,
            "aiAgentId": None,
            "durationOrSize": None,
            "ringingDuration": None,
            "body": _TEXT[: 20 + chance % 80],
            "handlerName": "agent",
            "aiSummary": None,
            "replyTo": None,
            "internalThread": None,
            "location": None,
            "assignation": None,
        }


class App:
    """A bare ASGI application over a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._parents = {workspace.conversation_id(s): s for s in range(workspace.conversations)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        query = {key: found[0] for key, found in parse_qs(scope["query_string"].decode()).items()}
        body = msgspec.json.encode(self._answer(scope["path"], query))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        if path == "/connect/token":
            return {"access_token": "bench", "expires_in": 1_296_000}
        if path == "/bench/grow":
            return self._workspace.grow(int(query["conversations"]))
        if path == "/v1/workspaces/users":
            return self._workspace.members()
        if path == "/v1/contact-property-definitions":
            return []
        rows, total = self._listed(
            path, int(query.get("SkipCount", 0)), int(query.get("MaxResultCount", 10))
        )
        return {"totalCount": total, "items": rows}

    def _listed(self, path: str, skip: int, take: int) -> tuple[_Rows, int]:
        workspace, last = self._workspace, path.rsplit("/", 2)
        if path.startswith("/v1/channels/"):
            found = workspace.channels()
            return found[skip : skip + take], len(found)
        if path == "/v1/contacts":
            total = workspace.conversations
            newest = range(total - 1, -1, -1)[skip : skip + take]
            return [workspace.contact(serial) for serial in newest], total
        if last[-1] == "timeline":
            events = workspace.events(self._parents[last[-2]])
            return events[skip : skip + take], len(events)
        if last[-2] == "channels":
            serials = workspace.line(int(last[-1].replace("-", "")[12:], 16))
            return [workspace.conversation(s) for s in serials[skip : skip + take]], len(serials)
        return [], 0


def main() -> None:
    """Listen, say where."""
    serve(App(Workspace(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
