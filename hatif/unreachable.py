"""Why a request had no answer, in words: name, refusal, certificate, time, or a broken connection.

HTTP libraries wrap the system's error several times; what is looked for is the innermost cause.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

#: Addresses that a request reaches without leaving the machine.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
    """Say in words why there was no answer.

    Args:
        error: what the HTTP library raised.
        host: that was called.
    """
    for cause in _causes(error):
        if (found := _known(cause, host)) is not None:
            return found
    return NoAnswer(
        f"no usable answer ({type(error).__name__})",
        "Check HATIF_BASE_URL, the network and the service's state",
    )


def _known(cause: BaseException, host: str) -> NoAnswer | None:
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
        return NoAnswer(
            f"{host} did not answer in time",
            "Check the network and the service's state; try again later",
        )
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
    if url.scheme != "http" or url.host in _LOOPBACK or url.host.endswith(".localhost"):
        return None
    return (
        f"HATIF_BASE_URL: http:// to {url.host} sends the client secret and customers' data "
        "unencrypted; use https://"
    )
