"""The access token: fetched once for all tasks, renewed early, dropped when rejected."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import msgspec

from hatif.errors import Undecodable

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
