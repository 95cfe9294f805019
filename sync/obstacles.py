"""Whether a run could read anything now: found with a few requests, before one is begun."""

from __future__ import annotations

import tempfile

import anyio
import duckdb

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.clock import ClockWitness
from hatif.errors import HatifError, HomeError
from hatif.sender import RetryPolicy
from sync.outage import first_refusal
from sync.session import open_budget
from warehouse.lake.explain import step_failure
from warehouse.lake.locks import API
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

_ONCE = RetryPolicy(attempts=1, patience=5.0, deadline=15.0)
#: A sign-in and three lists, with a new sign-in for each that answers with a login page.
_MOST_REQUESTS = 12
#: Bytes that must fit onto the disk, or a run could not even record how it ended.
_ROOM = 4 << 20


def first_obstacle(settings: Settings, retry: RetryPolicy = _ONCE) -> HatifError | None:
    """Return what would keep a run from reading anything now, None where nothing would.

    Does what a run does first: opens the home, signs in, reads one row. Nothing is stored, nothing
    is tried twice, and a run that is under way is not waited for, but an obstacle.

    Raises:
        SettingsError: credentials are missing.
    """
    settings.credentials()
    try:
        with open_lake(settings) as lake:
            with tempfile.TemporaryFile(dir=settings.home) as file:
                file.write(bytes(_ROOM))
            locks = lake.store.locks
            with (
                locks.exclusive(API, "look for the service", wait=False),
                open_budget(locks, settings.requests_per_minute, _MOST_REQUESTS) as budget,
            ):
                return anyio.run(_ask, settings, budget, retry)
    except (duckdb.Error, OSError) as error:
        return HomeError(step_failure(error))
    except HatifError as error:
        return error


async def _ask(settings: Settings, budget: Budget, retry: RetryPolicy) -> HatifError | None:
    async with HatifClient(settings, budget, retry=retry, clock=ClockWitness()) as client:
        await client.sign_in()
        return await first_refusal(client)
