"""Why a request had no answer, in words: name, network, certificate, time, a broken connection.

HTTP libraries wrap the system's error several times; what is looked for is the innermost cause.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from hatif.errors import redact

_BROKEN_OFF = re.compile("disconnected|closed")
_NETWORK = "Check this machine's network, VPN and routes; try again later"
_SERVICE = "Check the network and the service's state; try again later"
_BROKEN = ("{host} broke the connection", f"Check HATIF_BASE_URL and its port. {_SERVICE}")
#: What the system reports of a connection that could not be made or kept, by its error number.
_BY_NUMBER = {
    errno.ENETUNREACH: ("there is no network that leads to {host}", _NETWORK),
    errno.ENETDOWN: ("the network is down", _NETWORK),
    errno.EHOSTUNREACH: ("there is no route to {host}", _NETWORK),
    errno.EADDRNOTAVAIL: ("this machine has no address or port left to call from", _NETWORK),
    errno.ECONNRESET: _BROKEN,
    errno.ECONNABORTED: _BROKEN,
    errno.EPIPE: _BROKEN,
    errno.EPERM: ("this machine does not permit the connection", "Check its firewall"),
    errno.EACCES: ("this machine does not permit the connection", "Check its firewall"),
    errno.EMFILE: ("this process has too many files open", "Raise its limit (ulimit -n)"),
    errno.ENFILE: ("this machine has too many files open", "Close other programs"),
}
#: Addresses that a request reaches without leaving the machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """What to report of a request without an answer.

    Attributes:
        what: happened, without a full stop.
        advice: what to do about it.
        lasting: a retry cannot help.
    """

    what: str
    advice: str
    lasting: bool = False


def explain(error: BaseException, host: str) -> NoAnswer:
    """Return in words why there was no answer.

    Args:
        error: what the HTTP library raised.
        host: that was called.
    """
    causes = list(_causes(error))
    for known in (_of_connection, _of_protocol):
        for cause in causes:
            if (found := known(cause, host)) is not None:
                return found
    return NoAnswer(
        f"no usable answer ({type(error).__name__})",
        "Check HATIF_BASE_URL, the network and the service's state",
    )


def _of_connection(cause: BaseException, host: str) -> NoAnswer | None:
    """What the system or the encryption reports."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NoAnswer(
            f"the certificate of {host} is not trusted ({cause.verify_message})",
            "Check HATIF_BASE_URL and this machine's clock; behind a proxy that inspects traffic, "
            "name its certificate in SSL_CERT_FILE",
            lasting=True,
        )
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "reason", None) or type(cause).__name__
        return NoAnswer(
            f"no encrypted connection to {host} ({why})",
            "Check HATIF_BASE_URL: does the service speak https there?",
        )
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return NoAnswer(f"the name {host} could not be looked up (DNS does not answer)", _NETWORK)
    if isinstance(cause, socket.gaierror):
        return NoAnswer(
            f"the name {host} is not known (DNS)",
            "Check HATIF_BASE_URL for a typing mistake, and the network",
        )
    if isinstance(cause, ConnectionRefusedError):
        return NoAnswer(
            f"{host} refuses the connection",
            "Check HATIF_BASE_URL, its port, and whether the service runs: nothing listens there",
        )
    if isinstance(cause, (httpx.TimeoutException, TimeoutError)):
        return NoAnswer(f"{host} did not answer in time", _SERVICE)
    if isinstance(cause, OSError) and cause.errno in _BY_NUMBER:
        what, advice = _BY_NUMBER[cause.errno]
        return NoAnswer(what.format(host=host), advice)
    return None


def _of_protocol(cause: BaseException, host: str) -> NoAnswer | None:
    """What the HTTP library found itself."""
    if isinstance(cause, httpx.ProxyError):
        return NoAnswer(
            f"the proxy does not lead to {host} ({redact(str(cause), 60)})",
            "Check HTTPS_PROXY, its user and password, and NO_PROXY",
        )
    if isinstance(cause, httpx.UnsupportedProtocol):
        return NoAnswer("the address is no http:// or https://", "Check HATIF_BASE_URL", True)
    if isinstance(cause, httpx.ProtocolError) and not _BROKEN_OFF.search(str(cause)):
        return NoAnswer(
            f"{host} does not answer as HTTP is spoken",
            "Check HATIF_BASE_URL and its port: does the service listen there?",
        )
    if isinstance(cause, httpx.ConnectError):
        return NoAnswer(f"no connection to {host} could be made", _BROKEN[1])
    if isinstance(cause, httpx.NetworkError | httpx.ProtocolError):
        return NoAnswer(_BROKEN[0].format(host=host), _BROKEN[1])
    if isinstance(cause, httpx.DecodingError):
        return NoAnswer(f"what {host} sent is packed otherwise than it states", _SERVICE)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error was raised from, innermost first, then the error itself."""
    chain: list[BaseException] = []
    waiting = [error]
    while waiting and len(chain) < 50:
        one = waiting.pop()
        if one in chain:
            continue
        chain.append(one)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        waiting.extend(cause for cause in (one.__context__, one.__cause__) if cause is not None)
    yield from reversed(chain)


def insecure(base_url: str) -> str | None:
    """Return a warning where credentials would travel unencrypted, None where all is well."""
    url = httpx.URL(base_url)
    if url.scheme != "http" or url.host in LOOPBACK or url.host.endswith(".localhost"):
        return None
    return (
        f"HATIF_BASE_URL: http:// to {url.host} sends the client secret and customers' data "
        "unencrypted; use https://"
    )
