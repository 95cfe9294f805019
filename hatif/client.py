"""The one HTTP client: reads only, authenticated, within the budget, patient with accidents.

What is sent goes through `hatif.sender`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self, TypeVar

import httpx

from hatif import errors
from hatif.budget import Budget
from hatif.clock import ServiceClock
from hatif.error_responses import error_for, token_error_for
from hatif.retry import RetryPolicy
from hatif.sender import OK, Meter, Sender, is_signed_out
from hatif.streams import endpoint_of, other_endpoint
from hatif.token import Grant, Renewals, Token, TokenSource, decode_grant

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(connect=10.0, read=30.0, write=10.0, pool=None)


class Access(Protocol):
    """Where the service is and with which credentials; the settings are one."""

    @property
    def base_url(self) -> str:
        """Address of the service, without a slash at its end."""

    @property
    def scope(self) -> str:
        """OAuth scope to request."""

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
        clock: keeps the service's time.
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
        self._sender = Sender(self._http, budget, self._retry, self.clock, access.max_concurrency)

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

    @property
    def header_names(self) -> set[str]:
        """Names of all headers that answers came with."""
        return self._sender.header_names

    async def sign_in(self) -> None:
        """Fetch the token now, so that wrong credentials show before anything is begun.

        Raises:
            AuthenticationFailed: the credentials are refused.
            Unreachable: no server answers there.
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
            RequestLimitReached: the run may send no more requests.
        """
        name = f"GET {path}"
        endpoint = endpoint_of(path)
        renewed = False
        first, most = 0, min(attempts or self._retry.attempts, self._retry.attempts)
        while True:
            token = await self._tokens.current()
            renewable = not renewed and self._renewals.are_worth_trying(endpoint, token)
            request = self._request(path, params, token)
            tries = range(first, most)
            answer = await self._sender.attempts(name, request, decode, meter, tries, renewable)
            if not isinstance(answer, httpx.Response):
                self._renewals.accepted(endpoint, token, renewed=renewed)
                return answer
            if not is_signed_out(answer):
                self._renewals.accepted(endpoint, token, renewed=renewed)
                raise error_for(name, answer)
            if not renewable:
                self._renewals.refused(endpoint, renewed=renewed)
                raise await self._signed_out(name, endpoint, token, answer)
            self._tokens.refuse(token)
            renewed = True
            first = min(1, most - 1) if answer.status_code in OK else 0

    async def _signed_out(
        self, name: str, endpoint: str, token: Token, answer: httpx.Response
    ) -> errors.ServiceError:
        """Return the error for a 401 or redirect that a new token did not cure.

        A permission can be missing for one endpoint, so it takes a second one that answers alike
        to say that the credentials are refused.
        """
        if answer.status_code != 401:
            return error_for(name, answer)
        if not self._renewals.is_alone(endpoint) and not await self._lets_in(endpoint):
            return errors.AuthenticationFailed(
                name,
                "401 with a token issued a moment ago, and so do other endpoints",
                "Such a token usually lacks its scope: check HATIF_SCOPE (VoxaAPI)",
                401,
            )
        self._renewals.refused_alone(endpoint, token)
        return errors.EndpointRefused(
            name,
            "401 with a token that other endpoints take",
            "Check HATIF_SCOPE and what the API client may read in the portal",
            401,
        )

    async def _lets_in(self, endpoint: str) -> bool:
        """Return whether another endpoint takes the token that this one refused."""
        path = other_endpoint(endpoint)
        request = self._request(path, {"MaxResultCount": 1}, await self._tokens.current())
        try:
            answer = await self._sender.attempts(
                f"GET {path}", request, len, self._token_meter, range(2), renewable=False
            )
        except errors.ServiceError:
            return True  # no second 401: nothing is proven against the credentials
        return not (isinstance(answer, httpx.Response) and answer.status_code == 401)

    def _request(self, path: str, params: Mapping[str, str | int], token: Token) -> httpx.Request:
        return self._http.build_request(
            "GET", path, params=dict(params), headers={"Authorization": f"Bearer {token.value}"}
        )

    async def _fetch_token(self) -> Grant:
        name = "POST /connect/token"
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
        answer = await self._sender.attempts(name, request, decode_grant, self._token_meter, tries)
        if isinstance(answer, httpx.Response):
            raise token_error_for(name, answer)
        return answer

    @property
    def tokens_issued(self) -> int:
        """How many tokens this run has fetched."""
        return self._tokens.issued
