"""The one HTTP client: reads only, authenticated, within the budget, patient with accidents.

The access token is fetched once for all tasks, renewed early and dropped when refused
(`TokenSource`, `Renewals`). What is sent goes through `hatif.sender`.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeVar

import anyio
import httpx
import msgspec

from hatif import errors
from hatif.budget import Budget
from hatif.clock import ServiceClock
from hatif.error_responses import error_for, token_error_for
from hatif.errors import Undecodable
from hatif.sender import OK, Meter, RetryPolicy, Sender, is_signed_out
from hatif.streams import endpoint_of, other_endpoint

#: Seconds a token is taken to live when the answer does not say.
ASSUMED_LIFE = 3600.0
_LONGEST_LIFE = 10 * 365 * 86_400  # seconds a token may be stated to live and be believed
#: Renewals in a row that may fail to help one endpoint before its 401s count as its own.
_VAIN_RENEWALS = 3


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `generation` counts those of this run, `expires` is monotonic seconds."""

    value: str = field(repr=False)
    generation: int
    expires: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave: the token and its life in seconds, None if not given."""

    value: str = field(repr=False)
    life: float | None


class TokenSource:
    """Hands out the current token; at most one fetch is under way at any time.

    Args:
        fetch: calls the token endpoint once (with its own retries).
        clock: monotonic seconds.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Grant]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = anyio.Lock()
        self._token: Token | None = None
        self.issued = 0

    async def current(self) -> Token:
        """Return a token that is good for a while yet, fetching one if need be."""
        token = self._usable()
        if token is not None:
            return token
        async with self._lock:
            token = self._usable()  # the task that held the lock has fetched it
            if token is None:
                grant = await self._fetch()
                self.issued += 1
                life = ASSUMED_LIFE if grant.life is None else grant.life
                # Renewed a tenth of its life early, at most five minutes.
                expires = self._clock() + life - min(300.0, life / 10)
                token = self._token = Token(grant.value, self.issued, expires)
            return token

    def refuse(self, token: Token) -> None:
        """Note that the service refused this token; a newer one stays."""
        if self._token is not None and self._token.generation == token.generation:
            self._token = None

    def _usable(self) -> Token | None:
        token = self._token
        return token if token is not None and self._clock() < token.expires else None


class Renewals:
    """Decides whether a refused token is worth renewing.

    A 401 can mean that the token has expired, or that this endpoint does not take the client at
    all. The first costs one renewal; the second would cost one a request, so after a few renewals
    in vain a token that others have just been let in with is left alone.
    """

    def __init__(self) -> None:
        self._vain: Counter[str] = Counter()
        #: By endpoint: the token's generation that it let in last, unless it refused one since.
        self._taken: dict[str, int] = {}
        #: Endpoints that have let somebody in, though perhaps not to every list.
        self._open: set[str] = set()
        #: By endpoint that refuses every token: the generation that others accepted.
        self._alone: dict[str, int] = {}

    def are_worth_trying(self, endpoint: str, token: Token) -> bool:
        """Whether a new token could help at this endpoint."""
        known = (self._taken.get(endpoint), self._alone.get(endpoint))
        return self._vain[endpoint] < _VAIN_RENEWALS or token.generation not in known

    def accepted(self, endpoint: str, token: Token, *, renewed: bool) -> None:
        """Note that a request was let in with the token; `renewed` for it."""
        self._taken[endpoint] = token.generation
        self._open.add(endpoint)
        if renewed:
            self._vain[endpoint] = 0

    def refused(self, endpoint: str, *, renewed: bool) -> None:
        """Note a 401 that stands; the next one in a row is worth a renewal again."""
        self._taken.pop(endpoint, None)
        if renewed:
            self._vain[endpoint] += 1

    def refused_alone(self, endpoint: str, token: Token) -> None:
        """Note that another endpoint accepts the token: then a 401 is the endpoint's own."""
        if endpoint not in self._open:
            self._alone[endpoint] = token.generation

    def is_alone(self, endpoint: str) -> bool:
        """Whether the endpoint was found to refuse what others take."""
        return endpoint in self._alone or endpoint in self._open


def decode_grant(body: bytes) -> Grant:
    """Return what the token endpoint's answer grants.

    Raises:
        Undecodable: there is no token in it that fits a header.
    """
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Undecodable("the body is no JSON") from None
    value = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise Undecodable("it holds no access_token that fits a header")
    life = answer.get("expires_in")
    is_number = isinstance(life, (int, float)) and not isinstance(life, bool)
    stated = is_number and 0 < life <= _LONGEST_LIFE
    return Grant(value, float(life) if stated else None)


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
