"""The access token: fetched once for all tasks, renewed early, dropped when the service says so."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

#: Seconds a token is taken to live when the answer does not say.
ASSUMED_LIFE = 3600.0


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `generation` counts those of this run, `expires` is monotonic seconds."""

    value: str = field(repr=False)
    generation: int
    expires: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave: the token and its life in seconds, None if not said."""

    value: str = field(repr=False)
    life: float | None


class TokenSource:
    """Hands out the current token; at most one fetch is under way at any time.

    Args:
        fetch: asks the token endpoint once (with its own retries).
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
            token = self._usable()  # whoever held the lock has fetched it
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
