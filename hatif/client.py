"""The one HTTP client: reads only, authenticated, within the budget, patient with accidents.

httpx is imported here and in the two modules that read its answers, nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import anyio
import httpx

from hatif import errors
from hatif.body_text import is_web_page, utf8_body
from hatif.budget import Budget, Concurrency
from hatif.clock import ServiceClock
from hatif.error_responses import abp_error, error_for, token_error_for
from hatif.errors import Undecodable
from hatif.retry import TRANSIENT, RetryPolicy, retry_after
from hatif.streams import endpoint_of, other_endpoint
from hatif.token import Grant, Renewals, Token, TokenSource, decode_grant
from hatif.unreachable import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=None)
_FIRST_TRIES = 4
_OK = frozenset({200, 203})  # 203: a proxy has changed the answer, its headers as a rule


@dataclass(slots=True)
class Meter:
    """Counts the HTTP attempts made on somebody's behalf."""

    requests: int = 0


class Access(Protocol):
    """Where the service is and with which credentials; the settings are one."""

    @property
    def base_url(self) -> str:
        """Address of the service, without a slash at its end."""

    @property
    def scope(self) -> str:
        """OAuth scope to ask for."""

    @property
    def max_concurrency(self) -> int:
        """Ceiling of concurrent requests."""

    def credentials(self) -> tuple[str, str]:
        """Return client id and secret.

        Raises:
            SettingsError: when either is missing.
        """


class HatifClient:
    """Shared by every task of a run; use as an async context manager.

    Args:
        access: where and with which credentials.
        budget: what may be spent; shared by all streams.
        retry: how patient to be.
        clock: told what time it is in the service.
        transport: an httpx transport for tests.

    Raises:
        SettingsError: credentials are missing.
    """

    def __init__(
        self,
        access: Access,
        budget: Budget,
        *,
        retry: RetryPolicy | None = None,
        clock: ServiceClock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client_id, self._client_secret = access.credentials()
        self._scope = access.scope
        self._retry = retry or RetryPolicy()
        self.budget = budget
        self.clock = clock or ServiceClock()
        self._concurrency = Concurrency(access.max_concurrency)
        #: Names of all headers that answers came with.
        self.header_names: set[str] = set()
        self._reached = False
        self._token_meter = Meter()
        self._tokens = TokenSource(self._fetch_token)
        self._renewals = Renewals()
        self._http = httpx.AsyncClient(
            base_url=access.base_url,
            timeout=_TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "hatif-warehouse"},
            limits=httpx.Limits(max_connections=access.max_concurrency + 1),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def sign_in(self) -> None:
        """Fetch the token now, so that wrong credentials show before anything is begun.

        Raises:
            AuthenticationFailed: the credentials are refused.
            Unreachable: nobody answers there.
        """
        await self._tokens.current()

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        decode: Callable[[bytes], T],
        meter: Meter,
        *,
        attempts: int | None = None,
    ) -> T:
        """GET one resource and decode its body.

        Args:
            path: beginning with a slash.
            params: query parameters.
            decode: turns the body, as UTF-8, into a value; raising `Undecodable` counts as a
                failed attempt.
            meter: where the attempts are counted.
            attempts: tries at most, None for the policy's.

        Raises:
            ServiceError: one of its kinds, after retries where they can help.
            RequestLimitReached: the run may ask no more.
        """
        asked = f"GET {path}"
        endpoint = endpoint_of(path)
        renewed = False
        first, most = 0, min(attempts or self._retry.attempts, self._retry.attempts)
        while True:
            token = await self._tokens.current()
            renewable = not renewed and self._renewals.are_worth_trying(endpoint, token)
            request = self._request(path, params, token)
            tries = range(first, most)
            answer = await self._attempts(asked, request, decode, meter, tries, renewable)
            if not isinstance(answer, httpx.Response):
                self._renewals.accepted(endpoint, token, renewed=renewed)
                return answer
            if not _is_signed_out(answer):
                self._renewals.accepted(endpoint, token, renewed=renewed)
                raise error_for(asked, answer)
            if not renewable:
                self._renewals.refused(endpoint, renewed=renewed)
                raise await self._signed_out(asked, endpoint, token, answer)
            self._tokens.refuse(token)
            renewed = True
            first = min(1, most - 1) if answer.status_code in _OK else 0

    async def _signed_out(
        self, asked: str, endpoint: str, token: Token, answer: httpx.Response
    ) -> errors.ServiceError:
        """Return the error for a refusal that a new token did not cure.

        A permission can be missing for one endpoint, so it takes a second one that answers alike
        to say that the credentials are refused.
        """
        if answer.status_code != 401:
            return error_for(asked, answer)
        if not self._renewals.is_alone(endpoint) and not await self._lets_in(endpoint):
            return errors.AuthenticationFailed(
                asked,
                "401 with a token issued a moment ago, and so do other endpoints",
                "Such a token usually lacks its scope: check HATIF_SCOPE (VoxaAPI)",
                401,
            )
        self._renewals.refused_alone(endpoint, token)
        return errors.EndpointRefused(
            asked,
            "401 with a token that other endpoints take",
            "Check HATIF_SCOPE and what the API client may read in the portal",
            401,
        )

    async def _lets_in(self, endpoint: str) -> bool:
        """Ask another endpoint whether it takes the token that this one refused."""
        path = other_endpoint(endpoint)
        request = self._request(path, {"MaxResultCount": 1}, await self._tokens.current())
        try:
            answer = await self._attempts(
                f"GET {path}", request, len, self._token_meter, range(2), renewable=False
            )
        except errors.ServiceError:
            return True  # no second refusal: the benefit of the doubt
        return not (isinstance(answer, httpx.Response) and answer.status_code == 401)

    def _request(self, path: str, params: Mapping[str, str | int], token: Token) -> httpx.Request:
        return self._http.build_request(
            "GET", path, params=dict(params), headers={"Authorization": f"Bearer {token.value}"}
        )

    async def _attempts(
        self,
        asked: str,
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
                response = await self._send(asked, request, meter)
            except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
                self._note_no_answer(asked, request, error, attempt + 1, last)
                await anyio.sleep(wait)
                continue
            self._reached = True
            if response.status_code in _OK:
                if renewable and _is_signed_out(response):
                    return response
                try:
                    return decode(_text(response))
                except Undecodable as error:
                    if last:
                        raise errors.MalformedResponse(
                            asked,
                            f"{response.status_code}, but {error}",
                            "Has the API changed?",
                            response.status_code,
                        ) from None
            elif self._is_final(response) or last:
                return response
            else:
                wait = self._retry_delay(asked, response, wait)
            await anyio.sleep(wait)
        raise AssertionError("a policy has at least one attempt")

    def _note_no_answer(
        self, asked: str, request: httpx.Request, error: Exception, attempts: int, last: bool
    ) -> None:
        """Decide whether to ask again after a request without an answer.

        Raises:
            Unreachable: it is no use, or was the last attempt.
        """
        if isinstance(error, (httpx.TimeoutException, TimeoutError)):
            self._concurrency.pushed_back()
        if isinstance(error, httpx.DecodingError):
            # Packed otherwise than its header says: it may do better without packing.
            request.headers["Accept-Encoding"] = "identity"
        found = explain(error, request.url.host)
        # An address that never answered is more likely mistyped than passing through.
        early = not self._reached and attempts >= _FIRST_TRIES
        if last or early or found.lasting:
            count = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            raise errors.Unreachable(asked, f"{found.what} in {count}", found.advice) from None

    async def _send(self, asked: str, request: httpx.Request, meter: Meter) -> httpx.Response:
        if self.budget.paused_for > self._retry.patience:
            raise _rate_limited(asked, None, self.budget.paused_for)
        async with self._slot(meter):
            began = time.perf_counter()
            with anyio.fail_after(self._retry.deadline):
                response = await self._http.send(request)
        self.clock.told(response.headers.get("date"))
        self.header_names.update(response.headers)
        if response.status_code < 400:
            self._concurrency.succeeded(time.perf_counter() - began)
        elif response.status_code in (429, 503):
            self._concurrency.pushed_back()
        return response

    @asynccontextmanager
    async def _slot(self, meter: Meter) -> AsyncIterator[None]:
        async with self._concurrency.limiter:
            await self.budget.acquire()
            meter.requests += 1
            yield

    @staticmethod
    def _is_final(response: httpx.Response) -> bool:
        """Tell whether asking again is pointless.

        A 403 or 404 that does not come from the service itself is a gateway's: passing.
        """
        status = response.status_code
        if status in TRANSIENT:
            return False
        gateway = status in (403, 404) and b"<" in response.content[:200]
        return not (gateway and abp_error(response) is None)

    def _retry_delay(self, asked: str, response: httpx.Response, wait: float) -> float:
        """Return the seconds to wait; a Retry-After holds everybody back, not only this task."""
        told = retry_after(response.headers) if response.status_code in (429, 503) else None
        if told is None:
            return wait
        self.budget.pause(told)
        if told > self._retry.patience:
            raise _rate_limited(asked, response.status_code, told)
        return max(told, wait)

    async def _fetch_token(self) -> Grant:
        asked = "POST /connect/token"
        request = self._http.build_request(
            "POST",
            "/connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "scope": self._scope,
            },
        )
        tries = range(self._retry.attempts)
        answer = await self._attempts(asked, request, decode_grant, self._token_meter, tries)
        if isinstance(answer, httpx.Response):
            raise token_error_for(asked, answer)
        return answer

    @property
    def tokens_issued(self) -> int:
        """How many tokens this run has fetched."""
        return self._tokens.issued


def _rate_limited(asked: str, status: int | None, seconds: float) -> errors.RateLimited:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    when = f"to be asked again in {seconds:.0f} s, at {until:%Y-%m-%d %H:%M} UTC"
    return errors.RateLimited(
        asked,
        f"not sent, since the service asked to wait: {when}"
        if status is None
        else f"{status}, {when}",
        "That is longer than a run waits; until then no run sends a request",
        status,
    )


def _text(response: httpx.Response) -> bytes:
    """The body as UTF-8; most come as they should and are not looked at twice."""
    return utf8_body(response.content, response.headers.get("content-type", ""))


def _is_signed_out(response: httpx.Response) -> bool:
    """Whether the answer can mean a dead token: 401, or a way to a login page, or such a page."""
    status = response.status_code
    if status in _OK:
        return is_web_page(response.content, response.headers.get("content-type", ""))
    return status == 401 or 300 <= status < 400
