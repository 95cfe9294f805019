"""Bodies as the service sends them, directories of files, and what came of reading them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import place_of
from tests.comparison import stored
from tests.template import make_home
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import Ingested, ingest

CHANNEL = "3a1f0000-0000-0000-0000-0000000000c1"
TALK = "3a1f0000-0000-0000-0000-0000000000a1"
AT = "2026-11-01T10:00:02Z"


def message(number: int, **more: Any) -> dict[str, Any]:
    """A message's body; the number tells it from others."""
    return {
        "workspaceId": "w",
        "channelId": CHANNEL,
        "conversationId": TALK,
        "contactId": "c",
        "conversationEventId": f"3a1f0000-0000-0000-0000-{number:012x}",
        "messageId": f"wamid.{number}",
        "direction": "Outbound",
        "messageType": "Text",
        "body": f"text {number}",
        "status": "Sent",
        "creationTime": "2026-11-01T10:00:00Z",
        "isBillable": True,
        **more,
    }


def line(number: int, **more: Any) -> bytes:
    return json.dumps(message(number, **more)).encode()


def envelope(body: bytes, secret: bytes | None = None, **more: Any) -> bytes:
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["x-Voxa-SIGNATURE"] = hmac.new(secret, body, hashlib.sha256).hexdigest()
    content = {"received_at": AT, "headers": headers, "body": body.decode()}
    return json.dumps(content | more).encode()


def encoded(body: bytes) -> bytes:
    text = base64.b64encode(body).decode()
    return json.dumps({"received_at": AT, "body_base64": text}).encode()


class Home:
    """A home with a directory of webhook files."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.settings = Settings.load(home=home)
        make_home(self.settings)
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def ingest(self, secrets: str = "") -> Ingested:
        with open_lake(self.settings) as lake:
            return ingest(lake, place_of(str(self.directory)), Secrets(secrets))

    def events(self) -> list[dict[str, Any]]:
        return stored(self.settings, "FROM raw.webhook_events ORDER BY delivery_id")

    def bodies(self) -> set[str]:
        return {row["body"] for row in self.events()}

    def rejects(self) -> list[dict[str, Any]]:
        return stored(self.settings, "FROM ops.rejects ORDER BY location")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "webhooks")
