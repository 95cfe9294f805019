"""Envelopes: what surrounds a body, in the forms in which collectors write it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from hatif.webhooks.reasons import InvalidUnit
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import unwrap

BODY = '{"callId": "1"}'
AT = "2026-11-01T10:00:02Z"
GOOD = hmac.new(b"secret", BODY.encode(), hashlib.sha256).hexdigest()


def _envelope(**more: object) -> bytes:
    return json.dumps({"received_at": AT, "body": BODY} | more).encode()


@pytest.mark.parametrize(
    ("sent", "hour"),
    [
        *[(AT, 10), ("2026-11-01T10:00:02z", 10), ("2026-11-01t10:00:02.5Z", 10)],
        *[("2026-11-01 13:00:02+03:00", 10), ("2026-11-01T13:00:02+03", 10)],
        *[("2026-11-01T09:59:60Z", 10), ("2026-11-01T10:00Z", 10)],
    ],
)
def test_a_receive_time_is_read_in_every_form_with_an_offset(sent: str, hour: int) -> None:
    found = unwrap(_envelope(received_at=sent))
    assert found.body == BODY.encode()
    assert found.received_at is not None
    assert found.received_at.astimezone(UTC).replace(second=0, microsecond=0) == datetime(
        2026, 11, 1, hour, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"received_at": at} for at in ("yesterday", "2026-11-01T10:00:02", "", 5, None, [])],
        *[{"received_at": at} for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z")],
        *[{"body": 5}, {"body": ["x"]}, {"body_base64": "e30="}],
        {"body": None, "body_base64": "!!!"},
        {"received_at": "2026-11-01t10:00:02z", "body": {"callId": "1"}},
    ],
)
def test_a_malformed_envelope_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidUnit) as caught:
        unwrap(_envelope(**wrong))
    assert caught.value.reason == "bad_envelope"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Voxa-Signature": "ab", "Content-Length": 512},
        {"x-voxa-signature": ["ab"], "n": None, "m": [1], "o": {}},
        {"X-VOXA-SIGNATURE": " ab "},
        {"x-voxa-signature": ["ab", 5]},
        [["Host", "x"], ["X-Voxa-Signature", "ab"], ["alone"], 5],
        [{"name": "X-Voxa-Signature", "value": "ab"}, {"name": "Host"}],
    ],
)
def test_headers_are_read_in_any_form(headers: object) -> None:
    assert unwrap(_envelope(headers=headers)).signature == "ab"


@pytest.mark.parametrize("headers", [None, {}, [], "x-voxa-signature: ab", 5, {"x": True}])
def test_without_a_signature_an_envelope_is_unsigned(headers: object) -> None:
    assert unwrap(_envelope(headers=headers)).signature is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"received_at": "x", "channelId": "c", "body": "text"}',
        b'{"received_at": "x", "data": {}, "body": "text"}',
        b'{"received_at": "x"}',
        b'{"received_at": "' + b"x" * 10 + b'", "body": null}',
    ],
)
def test_a_body_with_a_receive_time_of_its_own_is_no_envelope(body: bytes) -> None:
    assert unwrap(body) == (body, None, None, None)


def test_a_body_is_kept_byte_for_byte() -> None:
    for content in (b"\xff\x00", "نص".encode(), b'{"a":\t1}\r\n'):
        text = base64.b64encode(content).decode()
        assert unwrap(_envelope(body=None, body_base64=text)).body == content


@pytest.mark.parametrize("headers", [["ab", GOOD], [GOOD, GOOD], f"ab, {GOOD}", f" {GOOD} ,"])
def test_of_a_signature_that_came_several_times_one_has_to_fit(headers: object) -> None:
    secrets, sent = Secrets("c=secret"), {"X-Voxa-Signature": headers}
    found = unwrap(_envelope(headers=sent))
    assert secrets.verify("c", found.body, found.signature) == "valid"
    assert secrets.verify("c", b"another body", found.signature) is None
