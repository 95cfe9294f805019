"""The request budget is a promise to whoever shares the workspace's limit with us."""

import errno
import os
import time

import anyio
import pytest

from hatif.budget import Budget, Concurrency, Journal
from hatif.errors import HomeError, RequestLimitReached
from hatif.sender import Meter
from rehearsal import Fault
from tests.hatif.conftest import connected
from tests.hatif.warp import clock, run


def grants(per_minute, requests, tasks=1, work=0.0, budget=None):
    """The instants at which so many requests left."""

    async def main():
        ours = budget() if budget else Budget(per_minute, clock=clock)
        left = iter(range(requests))
        instants = []

        async def task():
            for _ in left:
                await ours.acquire()
                instants.append(clock())
                await anyio.sleep(work)

        async with anyio.create_task_group() as group:
            for _ in range(tasks):
                group.start_soon(task)
        return instants

    return run(main)


def most_in_a_minute(instants):
    return max(sum(1 for t in instants if 0 <= t - begin < 60) for begin in instants)


@pytest.mark.parametrize(("tasks", "work"), [(1, 0.0), (8, 0.0), (8, 0.7), (8, 13.0)])
def test_no_window_of_a_minute_holds_more_than_the_limit(tasks, work):
    instants = grants(30, 100, tasks, work)
    assert most_in_a_minute(instants) <= 30
    assert len(instants) == 100


def test_the_budget_is_spent_and_not_hoarded():
    instants = grants(60, 180)
    assert instants[-1] - instants[0] < 122


def test_without_a_limit_nobody_waits():
    instants = grants(0, 1000, tasks=8)
    assert instants[-1] == instants[0]


def test_retries_and_tokens_spend_the_budget_too(server):
    server.fault(Fault("500", stream="contacts", times=3))
    server.fault(Fault("503", stream="token", times=2))
    budget = Budget(0)

    async def main():
        async with connected(server, budget=budget) as client:
            meter = Meter()
            await client.get("/v1/contacts", {}, len, meter)
            return meter.requests

    assert anyio.run(main) == 4
    assert budget.used == len(server.requests) == 7


def test_a_pause_holds_everybody():
    async def main():
        budget = Budget(60, clock=clock)
        budget.pause(40)
        budget.pause(10)  # a shorter one does not end it
        began, waits = clock(), []

        async def task():
            await budget.acquire()
            waits.append(clock() - began)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(task)
        return waits

    assert min(run(main)) >= 40


async def spend_all(budget):
    while True:
        await budget.acquire()
        await anyio.sleep(0.1)


def test_a_run_stops_at_its_own_limit_even_with_eight_tasks():
    async def main():
        budget = Budget(0, at_most=5, clock=clock)
        refused = 0

        async def task():
            nonlocal refused
            with pytest.raises(RequestLimitReached, match="--max-requests"):
                await spend_all(budget)
            refused += 1

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(task)
        return budget.used, refused

    assert run(main) == (5, 8)


def spend(path, per_minute, requests, pause=0.0):
    """One run under a journal of its own; returns when its requests left."""

    async def main():
        await anyio.sleep(pause)
        journal = Journal(path, per_minute)
        try:
            budget = Budget(per_minute, journal=journal, clock=clock)
            instants = []
            for _ in range(requests):
                await budget.acquire()
                instants.append(clock())
            return instants
        finally:
            journal.close()

    return run(main)


def test_the_next_run_knows_what_the_last_one_spent(tmp_path):
    path = tmp_path / "ring"
    first = spend(path, 30, 30)
    second = spend(path, 30, 30, pause=20)
    third = spend(path, 10, 10, pause=61)
    assert most_in_a_minute(first + second) <= 30
    assert second[0] - first[0] >= 60
    assert third[0] - second[0] >= 60


def test_a_lower_limit_than_the_last_runs_counts_all_that_one_spent(tmp_path):
    path = tmp_path / "ring"
    spend(path, 9_000, 9_000)
    assert spend(path, 5, 1, pause=1)[0] >= 1_000_060


@pytest.mark.parametrize(
    ("kept", "added"),
    [
        (slice(-3), b""),
        (slice(0), b""),
        (slice(0), b"no journal at all, but a text"),
        (slice(0), b"\xff" * 4096),
        (slice(None), b"\0" * 80_000),
    ],
)
def test_a_damaged_journal_is_no_reason_to_fail(tmp_path, kept, added):
    path = tmp_path / "ring"
    spend(path, 20, 20)
    path.write_bytes(path.read_bytes()[kept] + added)
    assert most_in_a_minute(spend(path, 20, 40, pause=1)) <= 20


def test_a_full_disk_is_named_with_the_journal(tmp_path, monkeypatch):
    """Requests that cannot be counted are not sent."""
    budget = Budget(5, journal=Journal(tmp_path / "requests.ring", 5))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(HomeError, match=r"requests\.ring.*No space left"):
        anyio.run(budget.acquire)


def test_a_journal_from_before_a_reboot_is_ignored(tmp_path):
    journal = Journal(tmp_path / "ring", 5)
    for _ in range(5):
        journal.append(time.monotonic() + 3600)
    assert journal.recent(time.monotonic()) == []
    journal.close()


def test_the_journal_does_not_grow(tmp_path):
    path = tmp_path / "ring"
    spend(path, 10, 100)
    assert path.stat().st_size == 80


def test_more_requests_go_out_together_while_all_is_well():
    async def main():
        limit = Concurrency(8)
        began = limit.limiter.total_tokens
        for _ in range(200):
            limit.succeeded(0.05)
        return began, limit.limiter.total_tokens

    assert run(main) == (4, 8)


def test_half_as_many_go_out_after_trouble_and_never_none():
    async def main():
        limit = Concurrency(8)
        for _ in range(200):
            limit.succeeded(0.05)
        seen = []
        for _ in range(5):
            limit.pushed_back()
            seen.append(limit.limiter.total_tokens)
        limit.succeeded(0.05)
        return seen, limit.limiter.total_tokens

    assert run(main) == ([4, 2, 1, 1, 1], 2)


def test_latency_that_trebles_counts_as_trouble():
    async def main():
        limit = Concurrency(8)
        for _ in range(100):
            limit.succeeded(0.3)
        before = limit.limiter.total_tokens
        for _ in range(10):
            limit.succeeded(3.0)
        return before, limit.limiter.total_tokens

    before, after = run(main)
    assert (before, after < before) == (8, True)
