"""The request budget in the catalog's database: one for all machines, also after a crash."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import anyio
import pytest

from hatif.budget import LONGEST_WAIT, Budget
from tests.cluster.conftest import Stores
from warehouse.errors import ConnectionLost
from warehouse.lake.database_budget import DatabaseJournal, DatabasePause
from warehouse.lake.database_locks import DatabaseLocks
from warehouse.lake.locks import API
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings


def locks_of(stores: Stores, home: Path) -> DatabaseLocks:
    locks = Store.of(Settings.load(home=home, **stores.settings)).locks
    assert isinstance(locks, DatabaseLocks)
    return locks


def spend(locks: DatabaseLocks, requests: int) -> None:
    """Note requests in the journal, as one run does."""

    async def acquire(budget: Budget) -> None:
        for _ in range(requests):
            await budget.acquire()

    with locks.exclusive(API, "sync"):
        anyio.run(acquire, Budget(1000, journal=DatabaseJournal(locks)))


def test_requests_count_wherever_they_were_sent_and_also_after_a_crash_of_the_server(
    stores: Stores, tmp_path: Path
) -> None:
    with closing(locks_of(stores, tmp_path / "one")) as one:
        spend(one, 7)
        stores.postgres.restart()
    with closing(locks_of(stores, tmp_path / "two")) as two, two.exclusive(API, "sync"):
        assert len(DatabaseJournal(two).recent(0.0)) == 7
        pause = DatabasePause(two, LONGEST_WAIT)
        pause.keep(300.0)
        assert 290 < pause.remaining() <= 300


def test_a_run_that_lost_its_lock_sends_no_further_request(stores: Stores, tmp_path: Path) -> None:
    with closing(locks_of(stores, tmp_path)) as locks, locks.exclusive(API, "sync"):
        journal = DatabaseJournal(locks)
        journal.append(0.0)
        stores.postgres.cut(stores.database)
        with pytest.raises(ConnectionLost):
            journal.append(0.0)
