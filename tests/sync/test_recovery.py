"""Rows that break their list are fetched from their own addresses, one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.reading import Reading, StreamResult
from hatif.sender import Meter
from hatif.streams import STREAMS, keys_of_streams
from hatif.wire import Page, Spelling
from sync.recovery import fetch_passed_over
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.models.model import wire_keys
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings

SPELLING = Spelling(wire_keys() | keys_of_streams())
IDS = [f"3a21b7e2-0000-0000-0000-00000000000{n}" for n in range(4)]
CHANNEL = "3a21b7e2-0000-0000-0000-0000000000ff"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Open for writing, tables made."""
    home: Path = tmp_path_factory.mktemp("home")
    with Lake(Settings.load(home=home)) as lake:
        lake.write("make the tables", schema.create)
        yield lake


def recover(
    lake: Lake, stream: str, reading: Reading, records: dict[str, dict[str, object]]
) -> int:
    """Fetch what was passed over from a service with these records; any other is gone."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
        record = records.get(request.url.path.rsplit("/")[-1])
        return httpx.Response(404) if record is None else httpx.Response(200, json=record)

    async def main() -> int:
        access = Settings.load(base_url="http://service", client_id="a", client_secret="b")
        transport = httpx.MockTransport(answer)
        async with HatifClient(access, Budget(0), transport=transport) as client:
            entry, loader, meter = STREAMS[stream], Loader(lake, "run"), Meter()
            found = await fetch_passed_over(client, entry, lake, loader, SPELLING, reading, meter)
            reading.result.requests = meter.requests
            return found

    return anyio.run(main)


def stored(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with lake.reading() as connection:
        return connection.execute(sql).fetchall()


def test_a_conversation_that_webhooks_name_is_fetched_with_the_channel_it_states(
    lake: Lake,
) -> None:
    lake.write(
        "name conversations",
        lambda c: (
            c.execute(
                "INSERT INTO core.messages (message_key, conversation_id, channel_id) "
                f"VALUES ('m', '{IDS[0]}', '{CHANNEL}')"
            ),
            c.execute(
                "INSERT INTO ops.hints (stream, parent_id, hinted_at) "
                f"VALUES ('timelines', '{IDS[1]}', now()), ('timelines', '{IDS[2]}', now())"
            ),
        ),
    )
    reading = Reading(StreamResult("conversations"), passed_over=3)
    found = recover(
        lake,
        "conversations",
        reading,
        {
            IDS[0]: {"Id": IDS[0].upper(), "Status": "Open"},  # by its message's channel
            IDS[1]: {"id": IDS[1], "status": "Closed", "channelId": CHANNEL.upper()},
            IDS[2]: {"id": IDS[2]},  # nothing names its channel
        },
    )
    assert found == 2
    rows = "SELECT conversation_id, channel_id, status FROM core.conversations ORDER BY ALL"
    assert stored(lake, rows) == [(IDS[0], CHANNEL, "open"), (IDS[1], CHANNEL, "closed")]


def test_a_conversation_that_lives_at_its_address_lives_though_its_channel_is_deleted(
    lake: Lake,
) -> None:
    """A channel may only be hidden; the conversation's own address decides."""
    hidden = "3a21b7e2-0000-0000-0000-0000000000fe"
    channel = Page(ids=[hidden], payloads=[json.dumps({"id": hidden}).encode()])
    Loader(lake, "first").restore(STREAMS["channels"], None, channel)
    Absences(lake, "first").mark_deleted(STREAMS["channels"], [hidden], None)
    lake.write(
        "name it",
        lambda c: c.execute(
            "INSERT INTO core.messages (message_key, conversation_id, channel_id) "
            f"VALUES ('hidden', '{IDS[3]}', '{hidden}')"
        ),
    )
    reading = Reading(StreamResult("conversations"), passed_over=1)
    assert recover(lake, "conversations", reading, {IDS[3]: {"id": IDS[3]}}) == 1
    rows = f"SELECT deleted_at FROM core.conversations WHERE conversation_id = '{IDS[3]}'"
    assert stored(lake, rows) == [(None,)]


def test_a_stored_contact_that_its_list_did_not_show_is_refreshed(lake: Lake) -> None:
    before = [json.dumps({"id": one, "name": "before"}).encode() for one in IDS]
    Loader(lake, "first").restore(STREAMS["contacts"], None, Page(ids=[*IDS], payloads=before))
    reading = Reading(StreamResult("contacts"), passed_over=1)
    reading.met[None] = np.sort(np.array([hash(one) for one in IDS if one != IDS[2]]))
    found = recover(lake, "contacts", reading, {i: {"id": {"id": i, "name": "after"}} for i in IDS})
    assert (found, reading.result.requests) == (1, 1)
    rows = "SELECT contact_id FROM core.contacts WHERE name = 'after'"
    assert stored(lake, rows) == [(IDS[2],)]


def test_what_another_record_answers_for_is_not_stored(lake: Lake) -> None:
    reading = Reading(StreamResult("contacts"), passed_over=1)
    reading.met[None] = np.sort(np.array([hash(one) for one in IDS[1:]]))
    other: dict[str, object] = {"id": "other", "name": "a stranger"}
    assert recover(lake, "contacts", reading, {IDS[0]: other}) == 0
    assert stored(lake, "FROM core.contacts WHERE name = 'a stranger'") == []
