"""The test delivery: what a receiver is sent, and what its answer means."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hatif.webhooks.signatures import Secrets
from hatif.webhooks.trial import TrialFailed, send

_CHANNEL = "3a1f0000-0000-0000-0000-0000000000c1"


@dataclass
class _Receiver:
    """A server that keeps what it is sent.

    Attributes:
        status: it answers.
        received: headers by lower-case name, and body.
    """

    url: str = ""
    status: int = 200
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    kept = _Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.received.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("secrets", "words", "channel"),
    [
        (f"{_CHANNEL}=s3cret", f"signed by the secret of channel {_CHANNEL}", _CHANNEL),
        ("*=s3cret", "signed by the secret of all channels", None),
    ],
    ids=["of a channel", "of all"],
)
def test_a_test_delivery_is_signed_by_the_first_secret(
    receiver: _Receiver, secrets: str, words: str, channel: str | None
) -> None:
    assert send(receiver.url, Secrets(secrets)) == words
    ((headers, body),) = receiver.received
    signed = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-voxa-signature"] == signed
    assert json.loads(body)["data"].get("channelId") == channel


def test_without_secrets_it_is_unsigned_and_says_so(receiver: _Receiver) -> None:
    assert send(receiver.url, Secrets("")).startswith("unsigned")
    assert "x-voxa-signature" not in receiver.received[0][0]


@pytest.mark.parametrize(
    ("status", "words"), [(401, "are others than those here"), (503, "see its own messages")]
)
def test_a_refusal_says_what_to_look_at(receiver: _Receiver, status: int, words: str) -> None:
    receiver.status = status
    with pytest.raises(TrialFailed, match=words):
        send(receiver.url, Secrets("*=s3cret"))


def test_where_nothing_listens_the_receiver_is_to_be_started(receiver: _Receiver) -> None:
    nowhere = receiver.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(TrialFailed, match="start it with: hatif collect"):
        send(nowhere, Secrets(""))
