"""Records as bytes: shape, casing, and the small differences between one record and the next.

Rendered list records are kept in ``world.wire`` until the record or the quirks change.
Some records leave null keys out, some have undocumented keys, some are pure ASCII
with escapes; which ones follows from their ids, so that a record always looks the same.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from rehearsal import shapes_v1, shapes_v2
from rehearsal.model import (
    Channel,
    Contact,
    Conversation,
    Definition,
    Event,
    HistoryRow,
    Tag,
    User,
)
from rehearsal.spec import Quirks
from rehearsal.style import FREE_FORM, Json, Style
from rehearsal.world import World

Record = Channel | User | Tag | Definition | Contact | HistoryRow | Conversation | Event

_SHAPES: dict[type, Callable[[Style, Any], Json]] = {
    Channel: shapes_v1.channel,
    User: shapes_v1.user,
    Tag: shapes_v1.tag,
    Definition: shapes_v1.definition,
    Contact: shapes_v1.contact,
    HistoryRow: shapes_v1.history_row,
    Conversation: shapes_v2.conversation,
    Event: shapes_v2.event,
}


_NEWS: Json = {"engagementProfile": {"score": 0.5, "labels": ["جديد"]}}


class Renderer:
    """Turns records of one world into bytes under one set of quirks."""

    def __init__(self, world: World, quirks: Quirks) -> None:
        self.style = Style(world.workspace_id, quirks)
        self._wire = world.wire
        self._pascal = quirks.casing == "pascal"

    def record(self, record: Record) -> bytes:
        """One record of a list; a contact on its own looks the same."""
        found = self._wire.get(record.id)
        if found is None:
            shape = _SHAPES[type(record)](self.style, record)
            found = self.encode(self._with_news(_vary(record.id, shape)))
            if record.id[-3] == "a":
                found = _escape(found)
            self._wire[record.id] = found
        return found

    def single_conversation(self, conversation: Conversation) -> bytes:
        """A conversation on its own, which looks different from its row in the list."""
        return self.encode(self._with_news(shapes_v2.single_conversation(conversation)))

    def encode(self, value: Any) -> bytes:
        """Any JSON value, keys in the casing of the day."""
        return msgspec.json.encode(pascal_keys(value) if self._pascal else value)

    def page(self, total: int | None, items: list[bytes]) -> bytes:
        """A paged list, with its total unless that is None."""
        if total is None:
            return (b'{"Items":[%s]}' if self._pascal else b'{"items":[%s]}') % b",".join(items)
        form = (
            b'{"TotalCount":%d,"Items":[%s]}' if self._pascal else b'{"totalCount":%d,"items":[%s]}'
        )
        return form % (total, b",".join(items))

    def _with_news(self, shape: Json) -> Json:
        return shape | _NEWS if self.style.quirks.unknown_keys else shape


def pascal_keys(value: Any) -> Any:
    """Keys in PascalCase all the way down; free-form objects keep the keys of their authors."""
    if isinstance(value, dict):
        return {
            key[:1].upper() + key[1:]: item if key == FREE_FORM else pascal_keys(item)
            for key, item in value.items()
        }
    return [pascal_keys(item) for item in value] if isinstance(value, list) else value


def _escape(body: bytes) -> bytes:
    """The same JSON in pure ASCII, as .NET writes it by default."""
    return json.dumps(msgspec.json.decode(body), separators=(",", ":")).encode()


def _vary(record_id: str, shape: Json) -> Json:
    if record_id[-1] in "07":
        shape = {key: value for key, value in shape.items() if value is not None}
    if record_id[-2] == "5":
        shape["isArchivedV2"] = False
        shape["extraProperties"] = {"source": "portal", "flags": []}
    return shape
