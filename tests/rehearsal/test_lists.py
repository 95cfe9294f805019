"""Paging, sorting and filters, as ABP does them and as the service does not."""

from datetime import datetime, timedelta

import pytest

from rehearsal import Quirks, RehearsalServer
from tests.rehearsal.conftest import (
    CHANNELS,
    CONTACTS,
    CONVERSATION,
    DEFINITIONS,
    SMALL,
    TAGS,
    USERS,
    Client,
)


@pytest.fixture
def server(quirky):
    return quirky


def ids(page):
    return [row["id"] for row in page.json()["items"]]


def test_a_page_has_ten_rows_unless_asked(calm):
    page = calm.get(CONTACTS).json()
    assert (len(page["items"]), page["totalCount"]) == (10, 60)
    assert len(calm.get(TAGS).json()["items"]) == 10


def test_parameter_names_are_read_in_any_casing(calm):
    assert ids(calm.get(CONTACTS, skipcount=5, MAXRESULTCOUNT=3)) == ids(calm.get(CONTACTS))[5:8]


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ({"MaxResultCount": 1001}, "maxResultCount"),
        ({"MaxResultCount": 0}, "maxResultCount"),
        ({"MaxResultCount": "many"}, "maxResultCount"),
        ({"SkipCount": -1}, "skipCount"),
    ],
)
def test_a_page_out_of_range_is_a_400_that_names_the_parameter(calm, query, member):
    answer = calm.get(CONTACTS, **query)
    assert answer.status_code == 400
    assert answer.headers["_AbpErrorFormat"] == "true"
    assert answer.json()["error"]["validationErrors"][0]["members"] == [member]


def test_the_maximum_can_be_lowered(server, client):
    server.set_quirks(max_page=50)
    assert client.get(CONTACTS, MaxResultCount=51).status_code == 400
    assert len(client.get(CONTACTS, MaxResultCount=50).json()["items"]) == 50


def test_a_silent_cap_shortens_pages_and_says_nothing(server, client):
    server.set_quirks(page_cap=7)
    page = client.get(CONTACTS, MaxResultCount=100)
    assert (page.status_code, len(page.json()["items"]), page.json()["totalCount"]) == (200, 7, 60)


def test_pages_join_to_the_whole_list_without_a_double(calm):
    rows = calm.all(CONTACTS, size=7)
    assert len({row["id"] for row in rows}) == len(rows) == 60


def test_beyond_the_end_a_page_is_empty(calm):
    assert calm.get(CONTACTS, SkipCount=500).json() == {"totalCount": 60, "items": []}


def test_users_and_definitions_are_bare_arrays(calm):
    assert len(calm.get(USERS).json()) == 8
    assert len(calm.get(DEFINITIONS).json()) == 8


def test_sorting_is_read_in_any_casing(calm):
    ascending = [r["creationtime"] for r in calm.all(CONTACTS, Sorting="creationtime asc")]
    descending = [r["creationtime"] for r in calm.all(CONTACTS, Sorting="CreationTime DESC")]
    assert ascending == sorted(ascending) == descending[::-1]


def test_last_modified_descending_puts_the_never_modified_first(calm):
    times = [
        r.get("lastmodificationtime")
        for r in calm.all(CONTACTS, Sorting="LastModificationTime DESC")
    ]
    never = times.count(None)
    assert 0 < never < len(times)
    assert times[:never] == [None] * never
    assert times[never:] == sorted(times[never:], reverse=True)


def test_an_unknown_sort_property_is_a_generic_500(calm):
    answer = calm.get(CONTACTS, Sorting="Shoesize DESC")
    assert answer.status_code == 500
    assert answer.json()["error"]["message"].startswith("An internal error")


def test_sorting_can_be_ignored(server, client):
    server.set_quirks(ignore_sorting=True)
    assert ids(client.get(CONTACTS, Sorting="Id ASC")) == ids(client.get(CONTACTS))


def test_conversations_come_latest_first(calm):
    channel = calm.all(CHANNELS)[0]["id"]
    active = [r["lastactivityat"] for r in calm.all(f"{CONVERSATION}/channels/{channel}")]
    assert active == sorted(active, reverse=True)


def test_contact_filters_mean_contains(calm):
    some = calm.all(CONTACTS)[0]
    found = calm.all(CONTACTS, phoneNumber=some["phonenumber"][2:9], name=some["name"][:3])
    assert some["id"] in {row["id"] for row in found}
    assert len(found) < 60


def test_channels_can_be_asked_for_by_the_name_of_their_type(calm):
    assert [row["type"] for row in calm.all(CHANNELS, type="Whatsapp")] == [2]


def test_the_phone_filter_of_conversations_is_ignored(calm):
    path = f"{CONVERSATION}/channels/{calm.all(CHANNELS)[0]['id']}"
    assert calm.all(path, PhoneNumber="+000") == calm.all(path)


def test_ids_of_nothing_are_404_in_the_words_of_abp(calm):
    nothing = "3a24a1b6-0000-0000-0000-000000000000"
    for path in (
        f"{CONTACTS}/{nothing}",
        f"{CONTACTS}/{nothing}/history",
        f"{DEFINITIONS}/{nothing}/statistics",
        f"{CONVERSATION}/channels/{nothing}",
        f"{CONVERSATION}/{nothing}",
        f"{CONVERSATION}/{nothing}/timeline",
    ):
        answer = calm.get(path)
        assert answer.status_code == 404, path
        assert nothing in answer.json()["error"]["message"]


def test_paths_that_the_service_lacks_and_writes_are_404(calm):
    assert calm.get("/v1/call/list").status_code == 404
    assert calm.http.post(CONTACTS, json={}).headers["_AbpErrorFormat"] == "true"


def test_the_workspace_has_a_budget_when_asked_for():
    with RehearsalServer(SMALL, Quirks(requests_per_minute=3)) as server:
        client = Client(server).log_in()
        statuses = [client.get(CONTACTS).status_code for _ in range(5)]
        client.http.close()
    assert statuses == [200, 200, 200, 429, 429]


def test_the_log_counts_by_stream(server, client):
    client.get(CONTACTS)
    client.get(TAGS, SkipCount=3)
    client.get("/nowhere")
    assert server.requests_by_stream() == {"token": 1, "contacts": 1, "tags": 1, "other": 1}
    assert server.requests[2].query == {"skipcount": "3"}


def test_a_page_can_be_refused_for_its_size_in_several_forms(server, client):
    statuses = {}
    for form in ("nameless", "problem", "text", "422", "403"):
        server.set_quirks(max_page=50, size_refusal=form)
        answer = client.get(CONTACTS, MaxResultCount=51)
        statuses[form] = (answer.status_code, "must be between" in answer.text)
    assert statuses == {
        "nameless": (400, False),
        "problem": (400, True),
        "text": (400, False),
        "422": (422, True),
        "403": (403, True),
    }


@pytest.mark.parametrize(
    ("quirk", "query", "status"),
    [
        ({"slow_page": 20}, {"MaxResultCount": 21}, 504),
        ({"slow_page": 20}, {"MaxResultCount": 20}, 200),
        ({"max_offset": 50}, {"SkipCount": 45, "MaxResultCount": 6}, 400),
        ({"max_offset": 50}, {"SkipCount": 45, "MaxResultCount": 5}, 200),
        ({"poisoned": (7,)}, {"SkipCount": 5, "MaxResultCount": 3}, 500),
        ({"poisoned": (7,)}, {"SkipCount": 8, "MaxResultCount": 3}, 200),
    ],
)
def test_pages_can_be_too_slow_too_deep_or_poisoned(server, client, quirk, query, status):
    server.set_quirks(**quirk)
    assert client.get(CONTACTS, **query).status_code == status


def test_conversations_can_be_filtered_by_the_day_of_their_activity(server, client):
    channel = max(server.world.by_channel, key=lambda one: len(server.world.by_channel[one]))
    path = f"/v2/conversations/service-account/channels/{channel}"
    every = client.get(path, MaxResultCount=500).json()["items"]
    middle = every[len(every) // 2]["lastActivityAt"]
    local = datetime.fromisoformat(middle).replace(tzinfo=None) + timedelta(hours=3)
    assert client.get(path, ToDate=local.isoformat()).json()["totalCount"] == len(every)
    server.set_quirks(date_filters=True)
    found = client.get(path, ToDate=local.isoformat(), MaxResultCount=500).json()["items"]
    assert 0 < len(found) < len(every)
    assert all(row["lastActivityAt"] <= middle for row in found)
    older = {row["id"] for row in every if row["lastActivityAt"] < middle}
    assert older <= {row["id"] for row in found}


def test_a_page_can_come_empty_amid_the_list(server, client):
    server.set_quirks(holes=(10,))
    empty = client.get(CONTACTS, SkipCount=10).json()
    assert (empty["items"], empty["totalCount"]) == ([], 60)
    assert len(ids(client.get(CONTACTS, SkipCount=11))) == 10
