"""Why there was no answer is said in words."""

import socket
import ssl

import anyio
import httpx
import pytest

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.errors import Unreachable
from hatif.sender import Meter
from hatif.unreachable import insecure
from tests.hatif.conftest import CONTACTS, HASTY, settings_for


def _certificate():
    error = ssl.SSLCertVerificationError()
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "words", "attempts"),
    [
        (socket.gaierror(-2, "Name or service not known"), r"name .* is not known \(DNS\)", 4),
        (ConnectionRefusedError(111, "refused"), "refuses the connection in 4 attempts", 4),
        (_certificate(), "is not trusted .self-signed certificate. in 1 attempt", 1),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "no encrypted connection", 4),
        (httpx.ConnectTimeout("slow"), "did not answer in time", 4),
        (OSError("anything else"), "no usable answer .ConnectError.", 4),
    ],
)
def test_dns_refusal_and_certificates_each_have_words_of_their_own(server, cause, words, attempts):
    seen = []

    def fail(request):
        seen.append(request)
        if isinstance(cause, httpx.TransportError):
            raise cause
        wrapped = OSError("All connection attempts failed")
        wrapped.__cause__ = cause
        raise httpx.ConnectError("failed") from wrapped

    async def main():
        transport = httpx.MockTransport(fail)
        access = settings_for(server)
        async with HatifClient(access, Budget(0), retry=HASTY, transport=transport) as client:
            await client.get(CONTACTS, {}, len, Meter())

    with pytest.raises(Unreachable, match=words):
        anyio.run(main)
    assert len(seen) == attempts


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("https://api.example", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://api.example", True),
        ("http://10.0.0.7:8000", True),
    ],
)
def test_only_http_to_another_machine_is_warned_of(url, warns):
    assert (insecure(url) is not None) is warns
