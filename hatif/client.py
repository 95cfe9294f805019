"""The one HTTP client: reads only, authenticated, within the budget, patient with accidents.

httpx is imported here and in the two modules that read its answers, nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import anyio
import httpx
import msgspec

from hatif import errors
from hatif.budget import Budget, Concurrency
from hatif.clock import ServiceClock
from hatif.error_responses import abp_error, error_for, token_error_for
from hatif.errors import Undecodable
from hatif.retry import TRANSIENT, RetryPolicy, retry_after
from hatif.token import Grant, Token, TokenSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=None)
_FIRST_TRIES = 4
_LONGEST_LIFE = 10 * 365 * 86_400  # seconds a token may be said to live and be believed


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
    ) -> T:
        """GET one resource and decode its body.

        Args:
            path: beginning with a slash.
            params: query parameters.
            decode: turns the body into a value; raising `Undecodable` counts as a failed attempt.
            meter: where the attempts are counted.

        Raises:
            ServiceError: one of its kinds, after retries where they can help.
            RequestLimitReached: the run may ask no more.
        """
        asked = f"GET {path}"
        refreshed = False
        while True:
            token = await self._tokens.current()
            answer = await self._attempts(asked, self._request(path, params, token), decode, meter)
            if not isinstance(answer, httpx.Response):
                return answer
            if answer.status_code != 401:
                raise error_for(asked, answer)
            if refreshed:
                raise errors.AuthenticationFailed(
                    asked,
                    "401 with a token issued a moment ago",
                    "Such a token usually lacks its scope: check HATIF_SCOPE (VoxaAPI)",
                    401,
                )
            self._tokens.refuse(token)
            refreshed = True

    def _request(self, path: str, params: Mapping[str, str | int], token: Token) -> httpx.Request:
        return self._http.build_request(
            "GET", path, params=dict(params), headers={"Authorization": f"Bearer {token.value}"}
        )

    async def _attempts(
        self, asked: str, request: httpx.Request, decode: Callable[[bytes], T], meter: Meter
    ) -> T | httpx.Response:
        """Send until something final comes back: a decoded value, or an error answer."""
        for attempt in range(self._retry.attempts):
            last = attempt + 1 == self._retry.attempts
            wait = self._retry.jitter(attempt)
            try:
                response = await self._send(asked, request, meter)
            except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
                if isinstance(error, (httpx.TimeoutException, TimeoutError)):
                    self._concurrency.pushed_back()
                # An address that never answered is more likely mistyped than passing through.
                if last or (not self._reached and attempt + 1 >= _FIRST_TRIES):
                    raise errors.Unreachable(
                        asked,
                        f"no usable answer ({type(error).__name__}) in {attempt + 1} attempts",
                        "Check HATIF_BASE_URL, the network and the service's state",
                    ) from None
                await anyio.sleep(wait)
                continue
            self._reached = True
            if response.status_code == 200:
                try:
                    return decode(response.content)
                except Undecodable as error:
                    if last:
                        raise errors.MalformedResponse(
                            asked, f"200, but {error}", "Has the API changed?", 200
                        ) from None
            elif self._is_final(response) or last:
                return response
            else:
                wait = self._retry_delay(asked, response, wait)
            await anyio.sleep(wait)
        raise AssertionError("a policy has at least one attempt")

    async def _send(self, asked: str, request: httpx.Request, meter: Meter) -> httpx.Response:
        if self.budget.paused_for > self._retry.patience:
            raise _rate_limited(asked, 429, self.budget.paused_for)
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
        answer = await self._attempts(asked, request, _decode_grant, self._token_meter)
        if isinstance(answer, httpx.Response):
            raise token_error_for(asked, answer)
        return answer

    @property
    def tokens_issued(self) -> int:
        """How many tokens this run has fetched."""
        return self._tokens.issued


def _rate_limited(asked: str, status: int, seconds: float) -> errors.RateLimited:
    return errors.RateLimited(
        asked,
        f"{status}, to be asked again in {seconds:.0f} s",
        "That is longer than a run waits; start again then",
        status,
    )


def _decode_grant(body: bytes) -> Grant:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Undecodable("the body is no JSON") from None
    value = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise Undecodable("it holds no access_token that could be shown in a header")
    life = answer.get("expires_in")
    told = isinstance(life, (int, float)) and 0 < life <= _LONGEST_LIFE
    return Grant(value, float(life) if told else None)
