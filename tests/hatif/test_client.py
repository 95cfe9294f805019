"""Accidents are got over; refusals are named; nothing is waited for without end."""

import anyio
import httpx
import msgspec
import pytest

from hatif import errors
from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.errors import Undecodable
from hatif.sender import Meter, RetryPolicy
from rehearsal import TRANSIENT, Fault
from tests.hatif.conftest import CONTACTS, HASTY, PAGE, asked, connected, fetch, settings_for


def json_only(body):
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Undecodable("the body is no complete JSON") from None


def get(server, path=CONTACTS, retry=HASTY, **options):
    async def main():
        async with connected(server, retry=retry, **options) as client:
            return await client.get(path, PAGE, json_only, Meter())

    return anyio.run(main)


@pytest.mark.parametrize("kind", TRANSIENT)
@pytest.mark.parametrize("stream", ["contacts", "token"])
def test_what_passes_is_got_over(server, kind, stream):
    truth = get(server)
    server.requests.clear()
    server.fault(Fault(kind, stream=stream, times=2))
    assert get(server) == truth
    assert [bool(r.fault) for r in asked(server, stream)] == [True, True, False]


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_an_attempt_that_takes_too_long_is_given_up_and_made_again(server, kind):
    server.fault(Fault(kind, stream="contacts", params={"seconds": 20}))
    assert get(server, retry=RetryPolicy(base=0.001, deadline=0.4))["totalCount"] == 60
    assert len(asked(server, "contacts")) == 2


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_a_slow_answer_within_the_deadline_is_an_answer(server, kind):
    server.fault(Fault(kind, stream="contacts", params={"seconds": 0.3}))
    assert get(server)["totalCount"] == 60
    assert len(asked(server, "contacts")) == 1


def test_ten_faults_in_a_hundred_cost_patience_and_nothing_else(server):
    server.fault_rate(0.1, seed=5)

    async def main():
        async with connected(server) as client:
            return {str(await client.get(CONTACTS, PAGE, json_only, Meter())) for _ in range(150)}

    assert len(anyio.run(main)) == 1


PERSISTENT = {
    "500": (errors.ServerFault, "try again later"),
    "502": (errors.ServerFault, "502"),
    "503": (errors.ServerFault, "503"),
    "429": (errors.RateLimited, "HATIF_REQUESTS_PER_MINUTE"),
    "reset": (errors.Unreachable, "HATIF_BASE_URL"),
    "truncated": (errors.Unreachable, "4 attempts"),
    "truncated_json": (errors.MalformedResponse, "no complete JSON"),
    "empty": (errors.MalformedResponse, "changed"),
    "html": (errors.MalformedResponse, "changed"),
}


@pytest.mark.parametrize("kind", PERSISTENT)
def test_what_does_not_pass_ends_in_a_named_error(server, kind):
    named, says = PERSISTENT[kind]
    server.fault(Fault(kind, stream="contacts", every=1))
    with pytest.raises(errors.ServiceError) as caught:
        get(server, retry=RetryPolicy(attempts=4, base=0.001, cap=0.002))
    assert type(caught.value) is named
    assert says in str(caught.value)
    assert str(caught.value).startswith("GET /v1/contacts: ")
    assert len(asked(server, "contacts")) == 4


REFUSALS = {
    "403_business": (errors.BusinessRefusal, ["ServiceWindowExpired", "not a login problem"], 1),
    "403_scope": (errors.Forbidden, ["HATIF_SCOPE"], 1),
    "404_abp": (errors.NotFound, ["gone"], 1),
    "404_html": (errors.NotFound, ["moved"], 8),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_named_and_says_what_it_is(server, kind):
    named, says, attempts = REFUSALS[kind]
    server.fault(Fault(kind, stream="contacts", every=1))
    with pytest.raises(named) as caught:
        get(server)
    for part in says:
        assert part in str(caught.value)
    assert len(asked(server, "contacts")) == attempts


def test_only_the_services_own_404_says_that_a_record_is_gone(server):
    found = []
    for kind in ("404_abp", "404_html"):
        server.fault(Fault(kind, stream="contacts", every=1))
        with pytest.raises(errors.NotFound) as caught:
            get(server)
        found.append(caught.value.abp)
        server.clear_faults()
    assert found == [True, False]


def test_a_400_names_the_parameter(server):
    with pytest.raises(errors.InvalidRequest, match="maxresultcount") as caught:
        fetch(server, params={"MaxResultCount": 5000})
    assert caught.value.members == {"maxresultcount"}


def test_an_address_where_nobody_lives_is_given_up_early():
    class Nowhere:
        url, client_id, client_secret = "http://127.0.0.1:1", "a", "b"

    with pytest.raises(errors.Unreachable, match=r"4 attempts.*HATIF_BASE_URL"):
        get(Nowhere)


def test_a_service_that_answered_before_is_waited_for_longer(server):
    server.fault(Fault("reset", stream="contacts", times=7))
    assert get(server)["totalCount"] == 60


def test_a_redirect_is_no_answer(server):
    """The address in the settings is wrong, such as http:// for https://."""

    def moved(request):
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t"})
        return httpx.Response(308, headers={"Location": "https://elsewhere.invalid/"})

    async def main():
        transport = httpx.MockTransport(moved)
        async with HatifClient(settings_for(server), Budget(0), transport=transport) as client:
            await client.get(CONTACTS, PAGE, len, Meter())

    with pytest.raises(errors.ServiceError, match=r"308.*HATIF_BASE_URL"):
        anyio.run(main)


def test_messages_from_outside_are_shortened_and_blanked():
    text = errors.redact("call  +966 50 123 4567\nor mail a.b@example.com " + "x" * 500)
    assert text.startswith("call <number> or mail <e-mail> xxx")
    assert len(text) == 200
