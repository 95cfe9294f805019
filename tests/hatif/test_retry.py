"""How long to wait: what the service says, in whatever form, and never without end."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx
import pytest

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.errors import RateLimited
from hatif.sender import Meter, RetryPolicy, retry_after
from rehearsal import Fault
from tests.hatif import warp
from tests.hatif.conftest import CONTACTS, PAGE, WHO, asked, connected, fetch


def reported(value, **headers):
    return retry_after(httpx.Headers({"Retry-After": value, **headers}))


def http(moment):
    return format_datetime(moment, usegmt=True)


NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


def test_a_number_is_a_wait_in_seconds():
    assert (reported("7"), reported("0.5"), reported("0"), reported(" 3 ")) == (7, 0.5, 0, 3)


def test_a_date_is_a_wait_until_then():
    assert 28 <= reported(http(datetime.now(UTC) + timedelta(seconds=30))) <= 30


def test_a_date_is_read_by_the_clock_of_the_answer_and_not_by_ours():
    """Both are years off our clock, and half a minute apart."""
    assert reported(http(NOON + timedelta(seconds=30)), Date=http(NOON)) == 30


def test_a_date_that_has_passed_is_no_wait():
    assert reported(http(NOON), Date=http(NOON + timedelta(hours=1))) == 0


@pytest.mark.parametrize(
    "value", ["1e300", "99999999999999", "172800", "Fri, 31 Dec 9999 23:59:59 GMT"]
)
def test_a_wait_of_years_is_one_of_a_day(value):
    """Beyond that it is no wait, and the calendar ends."""
    assert reported(value) == 86_400


def test_a_429_without_a_wait_holds_everybody_until_the_minute_is_over():
    """Others spend of the same budget: for a whole minute nothing is accepted."""
    sent = []

    async def main():
        began = warp.clock()

        def answer(request):
            if request.method == "POST":
                return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
            sent.append(warp.clock() - began)
            return httpx.Response(429 if sent[-1] < 60 else 200)

        budget = Budget(0, clock=warp.clock)
        transport = httpx.MockTransport(answer)
        async with (
            HatifClient(WHO, budget, transport=transport) as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(3):
                group.start_soon(client.get, CONTACTS, PAGE, len, Meter())

    warp.run(main)
    assert len(sent) <= 3 * RetryPolicy().attempts


def test_one_429_without_a_wait_costs_less_than_a_second():
    """A server that sends them now and then must not cost a quarter of a minute each time."""

    async def main():
        refused = iter([True, False])

        def answer(request):
            if request.method == "POST":
                return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
            return httpx.Response(429 if next(refused) else 200)

        budget = Budget(0, clock=warp.clock)
        transport = httpx.MockTransport(answer)
        async with HatifClient(WHO, budget, transport=transport) as client:
            began = warp.clock()
            await client.get(CONTACTS, PAGE, len, Meter())
            return warp.clock() - began

    assert 0 < warp.run(main) < 1


def test_no_header_is_no_answer():
    assert retry_after(httpx.Headers()) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        *("", "soon", "nan", "inf", "1e999", "12:00", "Thu, 99 Foo 2020 99:99:99 GMT"),
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 99999 00:00:00 GMT",
    ],
)
def test_nonsense_is_no_answer(nonsense):
    assert reported(nonsense) is None


def test_a_date_without_a_zone_is_gmt():
    assert reported("Wed, 01 Jan 2020 12:00:09", Date=http(NOON)) == 9


def test_jitter_is_full_and_capped():
    policy = RetryPolicy(base=1.0, cap=4.0)
    for attempt, ceiling in [(0, 1), (1, 2), (2, 4), (9, 4)]:
        waits = [policy.jitter(attempt) for _ in range(300)]
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling


@pytest.mark.parametrize("params", [{"retry_after": 1}, {"retry_after": 1, "as_date": True}])
def test_nobody_asks_before_the_service_said(server, params):
    """Two tasks; one has to wait, and both do."""
    server.fault(Fault("429", stream="contacts", params=params))

    async def main():
        async with connected(server) as client:
            await client.sign_in()

            async def other():
                await anyio.sleep(0.3)
                await client.get("/v1/tags/service-account", {}, len, Meter())

            async with anyio.create_task_group() as group:
                group.start_soon(other)
                await client.get(CONTACTS, PAGE, len, Meter())

    anyio.run(main)
    refused, *later = [r for r in server.requests if r.stream != "token"]
    assert [refused.status, *(r.status for r in later)] == [429, 200, 200]
    assert min(r.at for r in later) - refused.at >= 1


def test_a_wait_beyond_patience_is_reported_at_once_and_keeps_everybody_silent(server):
    server.fault(Fault("429", stream="contacts", params={"retry_after": 3600}))

    async def main():
        async with connected(server) as client:
            with pytest.raises(RateLimited, match=r"3600 s.*start again"):
                await client.get(CONTACTS, PAGE, len, Meter())
            with pytest.raises(RateLimited):
                await client.get("/v1/tags/service-account", {}, len, Meter())

    anyio.run(main)
    assert [r.stream for r in server.requests] == ["token", "contacts"]


def test_a_429_that_stays_ends_after_the_policys_attempts(server):
    server.fault(Fault("429", stream="contacts", every=1))
    with pytest.raises(RateLimited, match="HATIF_REQUESTS_PER_MINUTE"):
        fetch(server, retry=RetryPolicy(attempts=3, base=0.001, cap=0.002))
    assert len(asked(server, "contacts")) == 3


def test_a_wait_of_no_seconds_does_not_hammer(server):
    server.fault(Fault("429", stream="contacts", every=1, params={"retry_after": 0}))
    began = time.monotonic()
    with pytest.raises(RateLimited):
        fetch(server, retry=RetryPolicy(attempts=8, base=0.2, cap=0.2))
    assert time.monotonic() - began > 0.2
