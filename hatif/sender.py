"""Sends one request until something final comes back: within the budget, patient with accidents.

When to send again and how long to wait is decided by `RetryPolicy`. httpx is imported here, in
`hatif.client` and in the modules that read its answers, nowhere else.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx

from hatif import errors
from hatif.budget import LONGEST_WAIT, Budget, Concurrency
from hatif.clock import ServiceClock, http_date
from hatif.envelope import is_web_page, utf8_body
from hatif.error_responses import abp_error
from hatif.errors import Undecodable
from hatif.unreachable import explain

if TYPE_CHECKING:
    pass


#: Statuses that a later attempt may cure. 501 is an answer, not an accident.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is sent again.

    Attributes:
        attempts: tries for one request, the first included.
        base: seconds; the n-th wait is drawn evenly from 0 to ``base * 2**n`` (full jitter).
        cap: seconds that one drawn wait never exceeds.
        patience: seconds beyond which a Retry-After is not waited for but reported.
        deadline: seconds that one attempt may take, however slowly its bytes drip in.
        largest_body: bytes of an answer, unpacked, beyond which it is not read to its end.
    """

    attempts: int = 8
    base: float = 0.5
    cap: float = 30.0
    patience: float = 300.0
    deadline: float = 120.0
    largest_body: int = 64 << 20

    def longest(self, attempt: int) -> float:
        """Seconds that the wait after failed attempt number `attempt` (from 0) can take.

        All requests wait so long after a 429 without a Retry-After. One of many costs little;
        where the budget is spent by others, the waits of one request outlast the minute by which
        the service counts.
        """
        return min(self.cap, self.base * 2.0**attempt)

    def jitter(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0)."""
        return random.uniform(0, self.longest(attempt))  # noqa: S311


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that a Retry-After header requires, None where there is none to read.

    No wait is longer than `LONGEST_WAIT`, whatever is required. A date is taken relative to the
    answer's own Date header, so that a clock that is wrong on either side does no harm.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
        return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None
    except ValueError:
        pass
    until = http_date(value)
    if until is None:
        return None
    now = http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT)


T = TypeVar("T")

_FIRST_TRIES = 4
#: Statuses of an answer that brings data; 203: a proxy has changed it, its headers as a rule.
OK = frozenset({200, 203})


#: Headers of how a body was sent, which do not hold of the body as received.
_OF_TRANSPORT = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


@dataclass(slots=True)
class Meter:
    """Counts the HTTP attempts made for one stream or purpose."""

    requests: int = 0


class Sender:
    """Sends requests for all tasks of a run.

    Args:
        http: the connections.
        budget: what may be spent.
        retry: how patient to be.
        clock: notes what time it is in the service.
        max_concurrency: ceiling of requests in flight.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        budget: Budget,
        retry: RetryPolicy,
        clock: ServiceClock,
        max_concurrency: int,
    ) -> None:
        self._http = http
        self._budget = budget
        self._retry = retry
        self._clock = clock
        self._concurrency = Concurrency(max_concurrency)
        self._reached = False
        #: Names of all headers that answers came with.
        self.header_names: set[str] = set()

    async def attempts(
        self,
        name: str,
        request: httpx.Request,
        decode: Callable[[bytes], T],
        meter: Meter,
        tries: range,
        renewable: bool = False,
    ) -> T | httpx.Response:
        """Send until something final comes back: a decoded value, or an error answer.

        With `renewable`, a web page in place of data is final: it can be a login page.
        """
        for attempt in tries:
            last = attempt + 1 == tries.stop
            wait = self._retry.jitter(attempt)
            try:
                response = await self._send(name, request, meter)
            except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
                self._note_no_answer(name, request, error, attempt + 1, last)
                await anyio.sleep(wait)
                continue
            self._reached = True
            if response.status_code in OK:
                if renewable and is_signed_out(response):
                    return response
                try:
                    content_type = response.headers.get("content-type", "")
                    return decode(utf8_body(response.content, content_type))
                except Undecodable as error:
                    if last:
                        raise errors.MalformedResponse(
                            name,
                            f"{response.status_code}, but {error}",
                            "Has the API changed?",
                            response.status_code,
                        ) from None
            elif self._is_final(response) or last:
                return response
            else:
                wait = self._retry_delay(name, response, attempt, wait)
            await anyio.sleep(wait)
        raise AssertionError("a policy has at least one attempt")

    def _note_no_answer(
        self, name: str, request: httpx.Request, error: Exception, attempts: int, last: bool
    ) -> None:
        """Decide whether a request without an answer is sent again.

        Raises:
            Unreachable: it is no use, or was the last attempt.
        """
        if isinstance(error, (httpx.TimeoutException, TimeoutError)):
            self._concurrency.pushed_back()
        if isinstance(error, httpx.DecodingError):
            # Packed otherwise than its header states: it may do better without packing.
            request.headers["Accept-Encoding"] = "identity"
        found = explain(error, request.url.host)
        # An address that never answered is more likely mistyped than passing through.
        early = not self._reached and attempts >= _FIRST_TRIES
        if last or early or found.lasting:
            count = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            raise errors.Unreachable(name, f"{found.what} in {count}", found.advice) from None

    async def _send(self, name: str, request: httpx.Request, meter: Meter) -> httpx.Response:
        if self._budget.paused_for > self._retry.patience:
            raise _rate_limited(name, None, self._budget.paused_for)
        async with self._concurrency.limiter:
            await self._budget.acquire()
            meter.requests += 1
            began = time.perf_counter()
            with anyio.fail_after(self._retry.deadline):
                response = await self._receive(name, request)
        self._clock.note_date(response.headers.get("date"))
        self.header_names.update(response.headers)
        if response.status_code < 400:
            self._concurrency.succeeded(time.perf_counter() - began)
        elif response.status_code in (429, 503):
            self._concurrency.pushed_back()
        return response

    async def _receive(self, name: str, request: httpx.Request) -> httpx.Response:
        """Return the answer with its body, unpacked.

        Raises:
            MalformedResponse: the body is larger than any page may be.
        """
        response = await self._http.send(request, stream=True)
        body = bytearray()
        try:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > self._retry.largest_body:
                    raise errors.MalformedResponse(
                        name,
                        f"{response.status_code} with more than {self._retry.largest_body:,} bytes",
                        "A smaller page may do; what is one record alone cannot be read",
                        response.status_code,
                    )
        finally:
            await response.aclose()
        headers = [(k, v) for k, v in response.headers.raw if k.lower() not in _OF_TRANSPORT]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body))

    @staticmethod
    def _is_final(response: httpx.Response) -> bool:
        """Return whether a retry is pointless.

        A 403 or 404 that does not come from the service itself is a gateway's: passing.
        """
        status = response.status_code
        if status in TRANSIENT:
            return False
        gateway = status in (403, 404) and b"<" in response.content[:200]
        return not (gateway and abp_error(response) is None)

    def _retry_delay(self, name: str, response: httpx.Response, attempt: int, wait: float) -> float:
        """Return the seconds to wait; a Retry-After holds everybody back, not only this task."""
        status = response.status_code
        required = retry_after(response.headers) if status in (429, 503) else None
        if required is None and status == 429:
            required = self._retry.longest(attempt)
        if required is None:
            return wait
        self._budget.pause(required)
        if required > self._retry.patience:
            raise _rate_limited(name, status, required)
        return max(required, wait)


def _rate_limited(name: str, status: int | None, seconds: float) -> errors.RateLimited:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    when = f"to be sent again in {seconds:.0f} s, at {until:%Y-%m-%d %H:%M} UTC"
    return errors.RateLimited(
        name,
        f"not sent, since the service requires a wait: {when}"
        if status is None
        else f"{status}, {when}",
        "That is longer than a run waits, and no run sends a request until then: start again then",
        status,
    )


def is_signed_out(response: httpx.Response) -> bool:
    """Whether the answer can mean a dead token: 401, or a way to a login page, or such a page."""
    status = response.status_code
    if status in OK:
        return is_web_page(response.content, response.headers.get("content-type", ""))
    return status == 401 or 300 <= status < 400
