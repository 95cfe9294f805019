"""Outages: what keeps any stream from being read; `sync.obstacles` finds whether it still does."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from hatif.client import HatifClient
from hatif.envelope import unwrap
from hatif.errors import (
    HatifError,
    HomeError,
    ListsFailed,
    MalformedResponse,
    RateLimited,
    ServerFault,
    SignInRefused,
    Unreachable,
)
from hatif.sender import Meter
from hatif.streams import STREAMS

#: Each can be of one address alone: where another list answers, it is.
_OF_THE_SERVICE = (
    HomeError,
    MalformedResponse,
    RateLimited,
    ServerFault,
    SignInRefused,
    Unreachable,
)
#: Lists that answer cheaply.
SMALL = ("tags", "channels", "users")
#: Seconds for all of them: Dagster ends the evaluation of a sensor after a minute.
_PATIENCE = 25.0


def stops_any_stream(error: HatifError) -> bool:
    """Whether an error that a run met before it read anything would stop any of its streams."""
    return isinstance(error, _OF_THE_SERVICE)


class Outage:
    """Why the last streams of a run failed, where that could stop any other."""

    def __init__(self) -> None:
        self.error: HatifError | None = None
        #: No other list answered either.
        self.is_confirmed = False
        self._failed: set[str] = set()

    def note_read(self) -> None:
        """Note that the service answered for a stream."""
        self.error = None
        self._failed.clear()

    def note_failed(self, stream: str, error: HatifError) -> None:
        """Note why a stream failed."""
        nothing_read = isinstance(error, ListsFailed) and error.transient and not error.others_read
        if stops_any_stream(error) or nothing_read:
            self.error = self.error or error
            self._failed.add(stream)

    @property
    def others(self) -> tuple[str, ...]:
        """The small lists that have not failed."""
        return tuple(name for name in SMALL if name not in self._failed)


async def first_refusal(client: HatifClient, lists: Iterable[str] = SMALL) -> HatifError | None:
    """Ask for a row of each list until one answers; return the first error where none does.

    Args:
        client: of the service; nothing is tried twice.
        lists: names of streams.
    """
    with anyio.move_on_after(_PATIENCE):
        return await _ask_each(client, lists)
    return Unreachable("GET", f"no answer within {_PATIENCE:.0f} s", "Check the service's state")


async def _ask_each(client: HatifClient, lists: Iterable[str]) -> HatifError | None:
    refusal: HatifError | None = None
    for stream in map(STREAMS.__getitem__, lists):
        one_row = {"SkipCount": 0, "MaxResultCount": 1} if stream.paged else {}
        try:
            await client.get(stream.path, one_row, unwrap, Meter(), attempts=1)
        except HatifError as error:
            if not stops_any_stream(error):
                return None  # an answer, if of another kind
            refusal = refusal or error
        else:
            return None
    return refusal
