"""Each kind of fault once, and the exactness with which they strike."""

import email.utils
import json
import time

import httpx
import pytest

from rehearsal import BAD_RECORDS, KINDS, Fault, RehearsalServer
from tests.rehearsal.conftest import CONTACTS, SMALL, TAGS, USERS


@pytest.fixture
def server(quirky):
    return quirky


def strike(server, client, kind, **params):
    server.fault(Fault(kind, stream="contacts", params=params))
    return client.get(CONTACTS)


def test_429_comes_bare_with_seconds_or_with_a_date(server, client):
    assert "Retry-After" not in strike(server, client, "429").headers
    assert strike(server, client, "429", retry_after=2).headers["Retry-After"] == "2"
    dated = strike(server, client, "429", retry_after=2, as_date=True)
    when, now = (
        email.utils.parsedate_to_datetime(dated.headers[name]) for name in ("Retry-After", "Date")
    )
    assert (when - now).total_seconds() == 3, "a date has whole seconds, so it is rounded up"
    assert dated.status_code == 429


def test_500_is_abp_and_502_and_503_are_gateway_pages(server, client):
    error = strike(server, client, "500")
    assert (error.status_code, error.headers["_AbpErrorFormat"]) == (500, "true")
    for kind in ("502", "503"):
        page = strike(server, client, kind)
        assert page.status_code == int(kind)
        assert page.text.startswith("<!DOCTYPE html>")


def test_a_200_can_be_empty_a_web_page_or_json_of_another_shape(server, client):
    empty = strike(server, client, "empty")
    assert (empty.status_code, empty.content) == (200, b"")
    page = strike(server, client, "html")
    assert (page.status_code, page.headers["Content-Type"][:9]) == (200, "text/html")
    assert "items" not in strike(server, client, "garbage").json()
    assert strike(server, client, "garbage", body=[1]).json() == [1]


def test_401_403_and_404_come_in_their_kinds(server, client):
    assert strike(server, client, "401").content == b""
    business = strike(server, client, "403_business")
    assert business.json()["error"]["code"].startswith("Voxa:")
    scope = strike(server, client, "403_scope")
    assert (scope.status_code, scope.content) == (403, b"")
    assert strike(server, client, "404_abp").json()["error"]["message"]
    assert "<html>" in strike(server, client, "404_html").text


def test_any_status_can_come_with_any_body_and_headers(server, client):
    gone = strike(server, client, "status")
    assert (gone.status_code, gone.content) == (410, b"")
    moved = strike(server, client, "status", status=302, headers={"location": "/x"}, body="y")
    assert (moved.status_code, moved.text, moved.headers["location"]) == (302, "y", "/x")


@pytest.mark.parametrize(("quirk", "status"), [("401", 401), ("302", 302), ("page", 200)])
def test_a_dead_token_is_answered_by_401_or_by_a_login_page(server, client, quirk, status):
    server.set_quirks(signed_out=quirk)
    answer = httpx.get(f"{server.url}{TAGS}", headers={"Authorization": "Bearer dead"})
    assert (answer.status_code, "totalCount" in answer.text) == (status, False)


def test_a_reset_leaves_no_answer(server, client):
    with pytest.raises(httpx.ReadError):
        strike(server, client, "reset")
    assert server.requests[-1].status == 0
    assert client.get(CONTACTS).status_code == 200


def test_a_truncated_body_is_shorter_than_its_length(server, client):
    with pytest.raises(httpx.RemoteProtocolError):
        strike(server, client, "truncated")
    assert client.get(CONTACTS).status_code == 200


def test_truncated_json_has_the_right_length_and_does_not_parse(server, client):
    answer = strike(server, client, "truncated_json", share=0.5)
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content.decode(errors="replace"))


def test_an_answer_can_be_slow_or_drip_and_is_whole_in_the_end(server, client):
    whole = client.get(CONTACTS).json()
    for kind in ("slow", "drip"):
        start = time.monotonic()
        assert strike(server, client, kind, seconds=0.3).json() == whole
        assert time.monotonic() - start >= 0.28


@pytest.mark.timeout(20)
def test_the_server_stops_while_a_slow_answer_is_under_way():
    with RehearsalServer(SMALL) as server:
        server.fault(Fault("slow", stream="tags", params={"seconds": 60}))
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}{TAGS}", timeout=0.1)


def test_bad_records_stand_among_good_ones_until_cleared(server, client):
    good = client.all(CONTACTS)
    page = client.get(CONTACTS, MaxResultCount=20)
    server.fault(Fault("bad_records", stream="contacts"))
    body = client.get(CONTACTS, MaxResultCount=20).text
    assert r"\ud83d after" in body
    assert r"\u0000 after" in body
    page = json.loads(body)
    assert page["totalCount"] == len(good) + len(BAD_RECORDS)
    assert len(page["items"]) == 20
    assert "this is no record" in page["items"]
    assert any(isinstance(row, dict) and "id" not in row for row in page["items"])
    assert any(isinstance(row, dict) and row.get("id") == 17 for row in page["items"])
    rows = [row for row in client.all(CONTACTS, size=9) if row in good]
    assert rows == good, "no good row is lost beside them"
    server.clear_faults()
    assert client.all(CONTACTS) == good


@pytest.mark.parametrize("kind", BAD_RECORDS)
def test_each_bad_record_can_be_had_alone_in_a_bare_list_too(server, client, kind):
    server.fault(Fault("bad_records", stream="users", params={"kinds": [kind], "at": 2}))
    assert len(client.get(USERS).json()) == 9


def test_a_fault_strikes_the_nth_request_of_its_stream_and_only_it(server, client):
    server.fault(Fault("500", stream="contacts", nth=3))
    client.get(TAGS)
    statuses = [client.get(CONTACTS).status_code for _ in range(5)]
    assert statuses == [200, 200, 500, 200, 200]


def test_a_fault_can_strike_several_times_or_every_kth_time(server, client):
    server.fault(Fault("503", path="^/v1/tags", nth=2, times=2))
    assert [client.get(TAGS).status_code for _ in range(4)] == [200, 503, 503, 200]
    server.fault(Fault("503", stream="users", every=2))
    assert [client.get(USERS).status_code for _ in range(5)] == [200, 503, 200, 503, 200]
    server.clear_faults()
    assert {client.get(USERS).status_code for _ in range(4)} == {200}


def test_the_token_endpoint_can_be_struck(server, client):
    before = server.tokens_issued
    server.fault(Fault("502", stream="token"))
    assert client.ask_token().status_code == 502
    assert client.ask_token().status_code == 200
    assert server.tokens_issued == before + 1


def test_a_rate_strikes_about_that_share_and_the_same_every_time(server, client):
    def statuses():
        server.fault_rate(0.2, kinds=("500", "429"), seed=3)
        return [client.get(USERS).status_code for _ in range(100)]

    first = statuses()
    assert 10 <= 100 - first.count(200) <= 30
    assert set(first) == {200, 500, 429}
    assert statuses() == first
    struck = [request.fault for request in server.requests if request.fault]
    assert len(struck) == 2 * (100 - first.count(200))


def test_a_fault_that_does_not_exist_is_refused_with_the_list_of_those_that_do(server):
    with pytest.raises(ValueError, match=KINDS[-1]):
        Fault("earthquake")
    with pytest.raises(ValueError, match="bad_records"):
        server.fault_rate(0.1, kinds=("earthquake",))
    with pytest.raises(ValueError, match="delete_read_contacts"):
        server.fault(Fault(then="eat_contacts 3"))
