"""What was set aside is validated again, and stored once it passes."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from hatif.streams import STREAMS, keys_of_streams
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import place_of
from hatif.wire import Reject, Spelling
from tests.comparison import stored
from tests.warehouse.batches import batch
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.models.model import wire_keys
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.replay import replay
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

_SPELLING = Spelling(wire_keys() | keys_of_streams())
_CHANNEL = "3a1f0000-0000-0000-0000-000000000001"
_OPEN = "SELECT reject_id FROM ops.rejects WHERE replayed_at IS NULL"


def test_a_record_that_can_be_read_now_is_stored_and_one_that_cannot_stays(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    address = "/v1/contacts/c1/history"
    sound = '{"id":"h1","propertyName":"Email","creationTime":"2026-01-05T10:00:00"}'
    bad = '{"id":"h2","propertyName":"Email","creationTime":"soon"}'
    with open_lake(settings) as lake:
        found = [
            Reject("contact_history", "bad_value:creationTime", text, address)
            for text in (sound, bad, '{"no":"id"}')
        ]
        lake.write("set aside", lambda connection: rejects.store_records(connection, found))

        done = replay(lake, Secrets(""), _SPELLING)

        assert (done.settled, done.left) == (1, 2)
        assert replay(lake, Secrets(""), _SPELLING).settled == 0
    rows = stored(settings, "SELECT history_id, contact_id FROM core.contact_history")
    assert rows == [{"history_id": "h1", "contact_id": "c1"}]
    assert len(stored(settings, _OPEN)) == 2


def test_a_delivery_whose_secret_was_missing_is_taken_once_it_is_known(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    body = json.dumps(
        {
            "channelId": _CHANNEL,
            "conversationId": "3a1f0000-0000-0000-0000-000000000002",
            "messageType": "Text",
            "status": "Sent",
            "direction": "Outbound",
            "isBillable": True,
            "creationTime": "2026-11-01T10:00:00Z",
        }
    )
    signature = hmac.new(b"right", body.encode(), hashlib.sha256).hexdigest()
    envelope = {
        "received_at": "2026-11-01T10:00:02Z",
        "headers": {"X-Voxa-Signature": signature},
        "body": body,
    }
    directory = tmp_path / "webhooks"
    directory.mkdir()
    (directory / "one.json").write_text(json.dumps(envelope))
    with open_lake(settings) as lake:
        wrong = Secrets(f"{_CHANNEL}=wrong")
        assert ingest(lake, place_of(str(directory)), wrong).rejected == 1
        assert replay(lake, wrong, _SPELLING).left == 1

        done = replay(lake, Secrets(f"{_CHANNEL}=wrong,{_CHANNEL}=right"), _SPELLING)

        assert (done.settled, done.left) == (1, 0)
    rows = stored(settings, "SELECT kind, signature FROM raw.webhook_events")
    assert rows == [{"kind": "message", "signature": "valid"}]
    assert stored(settings, _OPEN) == []


def test_rejects_of_every_sort_are_replayed_beside_each_other(
    lake: Lake, settings: Settings
) -> None:
    """What cannot be read stays; the rest goes where its list is, which may be deleted since."""
    loader = Loader(lake, "run")
    ours, theirs = (f"3a1f0000-0000-0000-0000-00000000000{number}" for number in (1, 2))
    channels = (f'{{"id":"c{n}","workspaceId":"{w}"}}' for n, w in enumerate([ours, ours, theirs]))
    loader.load(batch("channels", None, *(one.encode() for one in channels)))
    loader.load(batch("contacts", None, b'{"id":"a b/c"}', b'{"id":"dead"}'))
    Absences(lake, "run").mark_deleted(STREAMS["contacts"], ["dead"], None)
    history = '{{"id":"{}","creationTime":"2026-01-05T10:00:00"}}'
    found = [
        Reject("a stream of another version", "bad_json", "{}", "/v1/other"),
        *(Reject("tags", "bad_json", raw, "/v1/tags") for raw in ("", "[", "<withheld>", "\x00")),
        *(
            Reject("contact_history", "bad_value:creationTime", history.format(f"h {parent}"), path)
            for parent in ("a b/c", "dead")
            if (path := STREAMS["contact_history"].list_path(parent))
        ),
    ]
    lake.write("set aside", lambda connection: rejects.store_records(connection, found))

    done = replay(lake, Secrets(""), _SPELLING)

    assert (done.settled, done.left) == (2, 6)
    left = stored(settings, "SELECT reason FROM ops.rejects WHERE replayed_at IS NULL")
    assert sorted(row["reason"] for row in left) == ["bad_json"] * 5 + ["foreign_workspace"]
    rows = stored(
        settings, "SELECT contact_id, deleted_at IS NULL AS lives FROM core.contact_history"
    )
    assert {row["contact_id"]: row["lives"] for row in rows} == {"a b/c": True, "dead": False}
