"""Why there was no answer is reported in words."""

import errno
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
        (socket.gaierror(socket.EAI_AGAIN, "Temporary"), "DNS does not answer", 4),
        (OSError(errno.ENETUNREACH, "x"), "no network that leads to", 4),
        (OSError(errno.EHOSTUNREACH, "x"), "no route to", 4),
        (ConnectionResetError(errno.ECONNRESET, "x"), "broke the connection", 4),
        (PermissionError(errno.EPERM, "x"), "does not permit the connection", 4),
        (OSError(errno.EMFILE, "x"), "too many files open", 4),
        (httpx.ReadError(""), "broke the connection", 4),
        (httpx.RemoteProtocolError("Server disconnected"), "broke the connection", 4),
        (httpx.RemoteProtocolError("peer closed connection"), "broke the connection", 4),
        (httpx.RemoteProtocolError("illegal status line"), "does not answer as HTTP is spoken", 4),
        (httpx.ProxyError("407 Proxy Authentication Required"), "the proxy does not lead .*407", 4),
        (httpx.UnsupportedProtocol("x"), "no http:// or https:// in 1 attempt", 1),
        (OSError("anything else"), "no connection to 127.0.0.1 could be made", 4),
    ],
)
def test_each_cause_of_no_answer_has_words_of_its_own(server, cause, words, attempts):
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
