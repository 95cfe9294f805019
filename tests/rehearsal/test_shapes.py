"""What records look like, live and under every quirk of shape."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.rehearsal.conftest import CHANNELS, CONTACTS, CONVERSATION, DEFINITIONS, TAGS, USERS


@pytest.fixture
def server(quirky):
    return quirky


def instant_of(guid):
    return datetime(1, 1, 1, tzinfo=UTC) + timedelta(
        milliseconds=int(guid.replace("-", "")[:12], 16)
    )


def longest(client):
    talk = max(client.conversations(), key=lambda row: row["lasteventscount"])
    return f"{CONVERSATION}/{talk['id']}"


def test_version_1_times_are_naive_riyadh_with_microseconds(calm):
    late = 0
    for row in calm.all(CONTACTS):
        reported = datetime.fromisoformat(row["creationtime"])
        assert reported.tzinfo is None
        off = instant_of(row["id"]) - (reported.replace(tzinfo=UTC) - timedelta(hours=3))
        late += abs(off) > timedelta(minutes=1)
    assert late < 10, "back-dated rows are few"


def test_version_1_times_can_turn_to_utc(server, client):
    server.set_quirks(v1_times="utc_naive")
    offs = [
        instant_of(row["id"]) - datetime.fromisoformat(row["creationtime"]).replace(tzinfo=UTC)
        for row in client.all(CONTACTS)
    ]
    assert sorted(offs)[len(offs) // 2] < timedelta(seconds=5)


def test_version_2_and_tag_times_are_seconds_with_a_z(calm):
    times = [row["creationtime"] for row in calm.all(TAGS)]
    times += [row["creationtime"] for row in calm.all(f"{longest(calm)}/timeline")]
    assert {(len(text), text[-1]) for text in times} == {(20, "Z")}


def test_keys_turn_to_pascal_case_but_free_form_keys_stay(server, client):
    server.set_quirks(casing="pascal")
    page = client.get(CONTACTS, MaxResultCount=60).json()
    assert set(page) == {"TotalCount", "Items"}
    assert all(key[0].isupper() for row in page["Items"] for key in row)
    free = [row["CustomFields"] for row in page["Items"] if row.get("CustomFields")]
    assert "legacyId" in free[0]


def test_enumerations_are_numbers_or_names(server, client):
    assert {row["status"] for row in client.conversations()} >= {1, 2}
    server.set_quirks(enums="text")
    assert {row["status"] for row in client.conversations()} >= {"Open", "Closed"}
    kinds = [row["type"] for row in client.get(DEFINITIONS).json()]
    assert {"Text", "Number", "Select", "Date", 9} == set(kinds), "no name for what is undefined"


def test_one_conversation_has_names_and_no_last_event(calm):
    for row in calm.conversations():
        one = calm.get(f"{CONVERSATION}/{row['id']}").json()
        assert one["status"] in ("Open", "Closed", 3)
        assert not [key for key in one if key.startswith("lastEvent")]
        assert one["tags"] == row["tags"]


def test_a_channel_phone_is_an_object_a_text_or_null(server, client):
    number = client.all(CHANNELS)[0]["phonenumber"]["number"]
    server.set_quirks(channel_phone="text")
    assert client.all(CHANNELS)[0]["phonenumber"] == number
    server.set_quirks(channel_phone="null")
    assert client.all(CHANNELS)[0].get("phonenumber") is None


def test_options_are_objects_or_texts(server, client):
    def city():
        return next(d for d in client.get(DEFINITIONS).json() if d["key"] == "city")

    values = [option["value"] for option in city()["selectOptions"]]
    server.set_quirks(options="text")
    assert city()["selectOptions"] == values


def test_statistics_are_objects_texts_or_missing(server, client):
    city = next(d["id"] for d in client.get(DEFINITIONS).json() if d["key"] == "city")
    path = f"{DEFINITIONS}/{city}/statistics"
    assert {"value", "count"} == set(client.get(path).json()[0])
    server.set_quirks(statistics="text")
    assert isinstance(client.get(path).json()[0], str)
    server.set_quirks(statistics="missing")
    assert client.get(path).status_code == 404


def test_statistics_of_one_property_can_be_no_json(server, client):
    server.set_quirks(statistics="one_nan")
    found = [
        client.get(f"{DEFINITIONS}/{d['id']}/statistics") for d in client.get(DEFINITIONS).json()
    ]
    assert [b"NaN" in answer.content for answer in found].count(True) == 1


def test_history_can_be_missing_while_its_contact_lives(server, client):
    path = f"{CONTACTS}/{client.all(CONTACTS)[0]['id']}"
    assert client.get(f"{path}/history").status_code == 200
    server.set_quirks(history="missing")
    assert client.get(f"{path}/history").status_code == 404
    assert client.get(path).status_code == 200


def test_every_record_can_have_a_key_that_nobody_documented(server, client):
    talk = longest(client)
    server.set_quirks(unknown_keys=True)
    pages = [client.get(path).json() for path in (CONTACTS, TAGS, CHANNELS, f"{talk}/timeline")]
    bare = [client.get(USERS).json(), client.get(DEFINITIONS).json(), [client.get(talk).json()]]
    rows = [row for page in pages for row in page["items"]] + [row for rows in bare for row in rows]
    assert all("engagementProfile" in row for row in rows)


def test_timelines_can_come_without_a_total(server, client):
    path = f"{longest(client)}/timeline"
    server.set_quirks(timeline_total="none")
    assert set(client.get(path).json()) == {"items"}
    assert "totalCount" in client.get(CONTACTS).json()
    server.set_quirks(casing="pascal")
    assert set(client.get(path).json()) == {"Items"}


def test_users_have_two_ids_and_agents_are_among_them(calm):
    users = calm.get(USERS).json()
    assert all(user["id"] != user["userId"] for user in users)
    agents = [user for user in users if user["isAiAgent"]]
    assert agents
    assert all(not agent["userId"].startswith("3a") for agent in agents)
    assert all(agent.get("email") is None for agent in agents)


def test_a_channel_carries_a_secret_that_a_test_can_search_for(calm):
    assert calm.server.channel_secret in calm.get(CHANNELS).text


def test_tags_have_trailing_spaces_and_near_doubles(calm):
    names = [row["name"] for row in calm.all(TAGS)]
    assert any(name != name.strip() for name in names)
    assert len({name.strip().lower() for name in names}) < len(names)


@pytest.mark.parametrize("size", [300])
def test_some_records_lack_keys_have_strange_ones_or_are_pure_ascii(calm, size):
    rows = calm.all(f"{longest(calm)}/timeline", size=size) + calm.all(CONTACTS)
    widths = {len(row) for row in rows}
    assert len(widths) > 3
    assert any("extraproperties" in row for row in rows)
    assert rb"\u06" in calm.get(CONTACTS, MaxResultCount=60).content


def test_timelines_hold_messages_calls_and_assignations(calm):
    rows = [
        row
        for talk in calm.conversations()
        for row in calm.all(f"{CONVERSATION}/{talk['id']}/timeline")
    ]
    assert {row["sourcetype"] for row in rows} == {1, 2, 3}
    assert {row["direction"] for row in rows} >= {1, 2, 3}
    assert all(row["direction"] in (3, 4) for row in rows if row["sourcetype"] == 3)
    statuses = {row.get("status") for row in rows}
    assert statuses >= {"Read", "Delivered", "Sent", "Failed", "Answered"}
    for part in ("aisummary", "replyto", "internalthread", "location", "assignation", "attachment"):
        assert any(row.get(part) for row in rows), part
    assert {type(row["errorcode"]) for row in rows if row.get("errorcode")} == {int, str}
