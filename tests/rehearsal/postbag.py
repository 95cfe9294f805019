"""A careful reader of webhook files: every body in a folder, by the contract's words alone."""

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa


class Found(NamedTuple):
    """One body in a file: ``headers`` by lower-case name, None for a bare body."""

    body: bytes
    received_at: datetime
    headers: dict[str, str] | None
    path: Path

    @property
    def id(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def bodies(directory: Path) -> list[Found]:
    """Everything that was collected, empty bodies included."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return [found for path in paths for found in _file(path)]


def _file(path: Path) -> Iterator[Found]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    elif path.suffix == ".zst":
        with pa.input_stream(pa.py_buffer(content), compression="zstd") as stream:
            content = stream.read()
    modified = datetime.fromtimestamp(path.stat().st_mtime_ns // 1_000_000_000, UTC)
    for text in _texts(path.name, content.decode()):
        yield _found(text, modified, path)


def _texts(name: str, content: str) -> list[str]:
    """The JSON texts of a file, byte for byte."""
    if not name.endswith(".json"):
        assert content.endswith("\n")
        return content[:-1].split("\n")
    if not content.startswith("["):
        return [content]
    decoder, place, found = json.JSONDecoder(), 1, []
    while content[place:].strip() not in ("", "]"):
        place += len(content[place:]) - len(content[place:].lstrip(" ,\n"))
        _, end = decoder.raw_decode(content, place)
        found.append(content[place:end])
        place = end
    return found


def _found(text: str, modified: datetime, path: Path) -> Found:
    value: dict[str, Any] = json.loads(text)
    if "received_at" not in value or "body" in value.keys() & {"channelId", "data"}:
        return Found(text.encode(), modified, None, path)
    assert len({"body", "body_base64"} & value.keys()) == 1
    body = (
        base64.b64decode(value["body_base64"]) if "body_base64" in value else value["body"].encode()
    )
    headers = {name.lower(): reported for name, reported in value.get("headers", {}).items()}
    return Found(body, datetime.fromisoformat(value["received_at"]).astimezone(UTC), headers, path)


def is_signed_by(found: Found, secrets: tuple[str, ...]) -> bool:
    """Whether the signature fits one of these secrets."""
    reported = (found.headers or {}).get("x-voxa-signature")
    return reported in {hmac.new(s.encode(), found.body, "sha256").hexdigest() for s in secrets}


def lower(value: Any) -> Any:
    """Keys in lower case, all the way down."""
    if isinstance(value, dict):
        return {key.lower(): lower(item) for key, item in value.items()}
    return [lower(item) for item in value] if isinstance(value, list) else value


def unwrapped(body: bytes) -> dict[str, Any]:
    """What a body tells, keys in lower case, out of its envelope."""
    reported = lower(json.loads(body))
    if "data" in reported and "eventtype" in reported:
        return reported["data"] | {"eventtype": reported["eventtype"]}
    return reported


def kind(reported: dict[str, Any]) -> str:
    """What it is about, by its shape."""
    for key, name in (("messagetype", "message"), ("destinationnumber", "ivr"), ("callid", "call")):
        if key in reported:
            return name
    assert "eventtype" in reported
    return "workspace"
