"""Whose a webhook is, where several workspaces share a receiver.

A body belongs to the workspace that it names, else to that of its channel, else to the one that the
path names. One that names a workspace which is not known belongs to none, whatever the path says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hatif.envelope import UNREADABLE, fold
from hatif.webhooks.parse import parse_event
from hatif.webhooks.reasons import InvalidUnit
from hatif.webhooks.signatures import Secrets

#: Header under which a body that belongs to none keeps the name in the path it was sent to.
PATH_HEADER = "x-hatif-path"
_PUNCTUATION = re.compile(r"[{}()-]")
_DIGITS = re.compile(r"(?!0{32})[0-9a-f]{32}")
_LEVELS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A workspace that webhooks go to.

    Attributes:
        name: in a path.
        directory: for its files.
        secrets: of its channels, which are its own by that.
        workspace_id: that bodies name, None where it is not known.
    """

    name: str
    directory: Path
    secrets: Secrets
    workspace_id: str | None = None


class Router:
    """Finds the workspace of a body.

    Args:
        routes: of all workspaces that can take webhooks.
        unassigned: folder for bodies that belong to none of them.
        is_sole: there is one workspace, and what names none is its own.
    """

    def __init__(self, routes: Iterable[Route], unassigned: Path, *, is_sole: bool = False) -> None:
        self.routes = tuple(routes)
        self.unassigned = unassigned
        self._sole = self.routes[0] if is_sole and self.routes else None
        self._by_name = {route.name: route for route in self.routes}
        self._by_id = {
            digits: route
            for route in self.routes
            if (digits := guid_digits(route.workspace_id)) is not None
        }
        self._by_channel: Mapping[str, Route | None] = {}
        self.learn({})

    def learn(self, channels: Mapping[str, Iterable[str]]) -> None:
        """Take note of channels beside those with secrets, by the name of their workspace."""
        found: dict[str, set[Route]] = defaultdict(set)
        for route in self.routes:
            for channel in (*route.secrets.channels, *channels.get(route.name, ())):
                found[channel.strip().lower()].add(route)
        # A channel of two workspaces tells neither.
        self._by_channel = {
            channel: next(iter(routes)) if len(routes) == 1 else None
            for channel, routes in found.items()
        }

    def route(self, body: bytes, path_name: str | None) -> Route | None:
        """Return whose a body is; None = nobody's that is known.

        Args:
            body: as sent.
            path_name: the name in the path, None without one.
        """
        workspaces, channels = named_in(body)
        if workspaces:
            found = {self._by_id.get(one) for one in workspaces}
            return found.pop() if len(found) == 1 else None
        if len(channels) == 1 and (route := self._by_channel.get(channels.pop())) is not None:
            return route
        return self._by_name.get((path_name or "").lower(), self._sole)


def guid_digits(text: str | None) -> str | None:
    """Return the digits of a GUID in any of its forms; None where it is none, or the empty one."""
    digits = _PUNCTUATION.sub("", (text or "").strip().lower())
    return digits if _DIGITS.fullmatch(digits) else None


def named_in(body: bytes) -> tuple[set[str], set[str]]:
    """Return the workspaces, by the digits of their ids, and the channels that a body names."""
    try:
        body.decode()
        event = parse_event(body)
    except (UnicodeDecodeError, InvalidUnit):
        pairs = list(_keys(body))
    else:
        pairs = [("workspaceid", event.workspace_id), ("channelid", event.channel_id)]
    found = [(key, value) for key, value in pairs if isinstance(value, str)]
    digits = (guid_digits(value) for key, value in found if key == "workspaceid")
    channels = {value.strip().lower() for key, value in found if key == "channelid" and value}
    return set(filter(None, digits)), channels


def _keys(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield such keys of a body that is no event, of objects of its first levels."""
    try:
        level: list[Any] = [msgspec.json.decode(body)]
    except UNREADABLE:
        return
    for _ in range(_LEVELS):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                yield from ((fold(key), one) for key, one in value.items())
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = below
