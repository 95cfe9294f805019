"""Events in wrappers: ``{data, eventType}``, or objects and lists of at most three levels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hatif.webhooks.reasons import InvalidUnit, Reason
from hatif.webhooks.schemas import SPELLING, kind_of, marked_kind

_LEVELS = 3
# Keys that a wrapper holds for the event in it, where the event itself has none.
_SHARED = ("channelId", "workspaceId", "conversationId", "contactId")


def find_event(record: dict[str, Any]) -> dict[str, Any]:
    """Return the object that is the event: the record itself, or the one nested in it.

    Args:
        record: a body with keys in canonical spelling.

    Raises:
        InvalidUnit: there are several at the same level, one too deep, or none where one is
            announced.
    """
    if marked_kind(record):
        return record
    level = [(record, _shared(record))]
    for _ in range(_LEVELS):
        level = [
            (inner, {**shared, **_shared(inner)})
            for outer, shared in level
            for value in outer.values()
            for inner in _objects(value)
        ]
        events = [_completed(value, shared) for value, shared in level if marked_kind(value)]
        if len(events) > 1:
            raise InvalidUnit(Reason.SEVERAL_EVENTS)
        if events:
            return events[0]
    return _workspace_event(record)


def _workspace_event(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that holds no message or call, with the key of its conversation."""
    if kind_of(record) in (None, "workspace"):
        inner = record.get("data")
        if inner is not None and not isinstance(inner, dict):
            raise InvalidUnit(Reason.NOT_AN_OBJECT)
        if _holds_event(record):
            raise InvalidUnit(Reason.UNKNOWN_KIND)
        if inner is not None:
            outer = {key: record[key] for key in ("eventType", *_SHARED) if key in record}
            return _completed(inner, outer)
    return record


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the object under a key, or those in a list under it."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _shared(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in _SHARED if key in record}


def _completed(event: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return an event completed by the keys of its wrapper."""
    return shared | {k: v for k, v in event.items() if v is not None or k not in shared}


def _holds_event(value: Any) -> bool:
    """Return whether there is a message or call anywhere inside: in lists, or as JSON in text.

    Text is never taken for an event, since it can be a customer's; but it is not passed over.
    """
    if isinstance(value, list):
        return any(map(_holds_event, value))
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            return _holds_event(SPELLING.respell(json.loads(value)))
        except ValueError:
            return False
    if not isinstance(value, dict):
        return False
    return bool(marked_kind(value)) or any(map(_holds_event, value.values()))
