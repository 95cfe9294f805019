"""One token for all, renewed in time, and never shown to anybody."""

import anyio
import pytest

from hatif.budget import Budget
from hatif.client import Grant, HatifClient, TokenSource, decode_grant
from hatif.errors import (
    AuthenticationFailed,
    BusinessRefusal,
    RateLimited,
    ServerFault,
    SettingsError,
    Undecodable,
)
from hatif.sender import Meter
from rehearsal import Fault
from tests.hatif.conftest import CONTACTS, PAGE, asked, connected, fetch, settings_for
from tests.hatif.warp import clock, run
from warehouse.settings.environment import Settings


def eight_tasks(server, gets=4):
    async def main():
        async with connected(server) as client:

            async def task():
                for _ in range(gets):
                    await client.get(CONTACTS, PAGE, len, Meter())

            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(task)
            return client.tokens_issued

    return anyio.run(main)


def test_eight_tasks_fetch_one_token(server):
    server.fault(Fault("slow", stream="token", params={"seconds": 0.1}))
    assert eight_tasks(server) == server.tokens_issued == 1


def test_a_token_revoked_under_eight_tasks_costs_exactly_one_more(server):
    server.fault(Fault("slow", stream="contacts", every=1, params={"seconds": 0.02}))
    server.fault(Fault(stream="contacts", nth=10, then="revoke_tokens"))
    assert eight_tasks(server) == server.tokens_issued == 2
    assert 1 <= sum(r.status == 401 for r in asked(server, "contacts")) <= 8


def test_a_refused_token_is_not_shown_again(server):
    server.fault(Fault("401", stream="contacts", nth=1))
    body, requests = fetch(server)
    assert (bool(body), requests) == (True, 2)
    assert [r.generation for r in asked(server, "contacts")] == [1, 2]


def fetching(lives):
    """A source whose n-th token lives so long, and the instants of its fetches."""
    fetches = []

    async def fetch():
        fetches.append(clock())
        await anyio.sleep(0.5)
        return Grant(f"t{len(fetches)}", lives[min(len(fetches), len(lives)) - 1])

    return TokenSource(fetch, clock), fetches


@pytest.mark.parametrize(
    ("life", "renewed"), [(100.0, 90), (1_296_000.0, 1_295_700), (None, 3_300), (1.0, 0.9)]
)
def test_a_token_is_renewed_early(life, renewed):
    async def main():
        source, fetches = fetching([life])
        await source.current()
        began = clock()
        await anyio.sleep(renewed - 0.01)
        await source.current()
        before = len(fetches)
        await anyio.sleep(0.02)
        await source.current()
        return before, len(fetches), began

    assert run(main)[:2] == (1, 2)


def test_an_old_refusal_does_not_drop_a_new_token():
    async def main():
        source, fetches = fetching([100.0])
        first = await source.current()
        source.refuse(first)
        second = await source.current()
        source.refuse(first)
        return second == await source.current(), len(fetches)

    assert run(main) == (True, 2)


def test_a_cancelled_fetch_leaves_the_source_usable():
    async def main():
        source, fetches = fetching([100.0])
        with anyio.move_on_after(0.1):
            await source.current()
        return (await source.current()).value, len(fetches)

    assert run(main) == ("t2", 2)


@pytest.mark.parametrize(
    ("wording", "life"),
    [
        (b"", None),
        (b',"expires_in":3600', 3600.0),
        (b',"expires_in":null', None),
        (b',"expires_in":"3600"', None),
        (b',"expires_in":0', None),
        (b',"expires_in":-5', None),
        (b',"expires_in":1e300', None),
    ],
)
def test_an_expiry_that_says_nothing_is_not_believed(wording, life):
    assert decode_grant(b'{"access_token":"abc"' + wording + b"}").life == life


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b'{"access_token":""}', b'{"access_token":7}'),
        *(rb'{"access_token":"a\nb"}', '{"access_token":"ä"}'.encode(), b"[" * 20_000),
    ],
)
def test_an_answer_without_a_usable_token_is_no_token(body):
    with pytest.raises(Undecodable):
        decode_grant(body)


def refused(server, **changed):
    async def main():
        async with connected(server, **changed) as client:
            await client.sign_in()
            await client.get(CONTACTS, PAGE, len, Meter())

    with pytest.raises(AuthenticationFailed) as caught:
        anyio.run(main)
    return caught.value


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"client_secret": "wrong-s3cret"}, ["HATIF_CLIENT_ID", "HATIF_CLIENT_SECRET", "401"]),
        ({"client_id": "nobody"}, ["HATIF_CLIENT_ID", "portal"]),
        ({"scope": "Everything"}, ["HATIF_SCOPE", "VoxaAPI"]),
        ({"scope": ""}, ["HATIF_SCOPE", "401"]),
    ],
)
def test_wrong_credentials_are_one_error_that_says_what_to_do(server, changed, names):
    error = refused(server, **changed)
    for name in names:
        assert name in str(error)
    assert "s3cret" not in str(error)
    assert len(server.requests) <= 5  # a second endpoint is asked before all are given up


def test_a_token_endpoint_in_trouble_is_no_matter_of_credentials(server):
    server.fault(Fault("503", stream="token", every=1))
    with pytest.raises(ServerFault, match="try again later"):
        fetch(server)
    server.clear_faults()
    server.fault(Fault("429", stream="token", every=1))
    with pytest.raises(RateLimited):
        fetch(server)


def test_missing_credentials_are_named_together():
    settings = Settings.load(None, client_id=None, client_secret=None)
    with pytest.raises(SettingsError, match="HATIF_CLIENT_ID and HATIF_CLIENT_SECRET"):
        HatifClient(settings, Budget(0))


def everything_said(error):
    """An exception and all behind it, as a curious log would print them."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        error = error.__cause__ or error.__context__


def test_no_secret_shows_in_anything_printed(server, all_logs):
    settings = settings_for(server)
    shown = [repr(settings), str(settings), settings.model_dump_json()]
    tokens = []

    async def main():
        async with HatifClient(settings, Budget(0)) as client:
            token = await client._tokens.current()
            tokens.append(token.value)
            shown.extend([repr(client), repr(client._tokens), repr(token)])
            await client.get(CONTACTS, PAGE, len, Meter())
            server.fault(Fault("403_business", stream="contacts"))
            with pytest.raises(BusinessRefusal) as caught:
                await client.get(CONTACTS, PAGE, len, Meter())
            shown.extend(everything_said(caught.value))

    anyio.run(main)
    for changed in ({"scope": "Everything"}, {"scope": ""}):
        shown.extend(everything_said(refused(server, **changed)))
    server.fault(Fault("reset", stream="contacts", every=1))
    with pytest.raises(Exception, match="Check HATIF_BASE_URL") as caught:
        fetch(server)
    shown.extend(everything_said(caught.value))
    shown.extend([all_logs.text, *(repr(record.args) for record in all_logs.records)])
    assert len(all_logs.records) > 20
    for text in shown:
        assert server.client_secret not in text
        assert tokens[0] not in text
