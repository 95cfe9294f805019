"""Bodies of events, and what comes of reading them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hatif.webhooks.parse import parse_event
from hatif.webhooks.reasons import InvalidUnit
from hatif.webhooks.schemas import Event

CHANNEL = "3a1f0000-0000-0000-0000-0000000000c1"
TALK = "3a1f0000-0000-0000-0000-0000000000a1"
NO_ID = "00000000-0000-0000-0000-000000000000"
MESSAGE: dict[str, Any] = {
    "channelId": CHANNEL,
    "conversationId": TALK,
    "conversationEventId": "3a1f0000-0000-0000-0000-0000000000e1",
    "messageType": "Text",
    "direction": "Outbound",
    "status": "Sent",
    "creationTime": "2026-11-01T10:00:00Z",
    "isBillable": True,
}
CALL: dict[str, Any] = {
    "callId": "3a1f0000-0000-0000-0000-0000000000d1",
    "channelId": CHANNEL,
    "status": 1,
    "creationTime": "2026-11-01T10:00:00Z",
}
IVR: dict[str, Any] = {
    "id": "3a1f0000-0000-0000-0000-0000000000f1",
    "channelId": CHANNEL,
    "destinationNumber": "0",
    "creationTime": "2026-11-01T10:00:00Z",
}
#: Both ways of reading: compact text takes the fast one.
SPACING = [pytest.param((",", ":"), id="compact"), pytest.param((", ", ": "), id="spaced")]


def text_of(value: object, separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps(value, separators=separators).encode()


def payload_of(event: Event, body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.payload or body, parse_int=float)
    return found


def reason_of(body: bytes) -> str:
    with pytest.raises(InvalidUnit) as caught:
        parse_event(body)
    return caught.value.reason
