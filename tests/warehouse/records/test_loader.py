"""What a batch does to the lake, without a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from hatif.errors import BrakeHeld, HomeError
from hatif.streams import STREAMS, Stream
from tests.comparison import stored
from tests.warehouse.batches import batch
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.merge.messages import merge
from warehouse.records import versions
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.reports import status
from warehouse.settings.environment import Settings

_CHANGE = b'{"id":"h1","propertyName":"Email","creationTime":"2026-01-05T10:00:00","creatorId":"u"}'


def test_a_record_that_comes_and_goes_back_is_three_versions(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "run")
    one, other = b'{"id":"t","name":"A"}', b'{"id":"t","name":"B"}'
    for record in (one, one, other, one):
        loader.load(batch("tags", None, record))
    versions = stored(settings, "SELECT payload FROM raw.records ORDER BY seq")
    assert [row["payload"] for row in versions] == [one.decode(), other.decode(), one.decode()]
    assert [row["name"] for row in stored(settings, "FROM core.tags")] == ["A"]


def test_a_record_that_moves_to_another_parent_follows_it_and_is_not_missed(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "first run")
    loader.load(batch("contact_history", "old", _CHANGE))
    loader = Loader(lake, "second run")
    loader.load(batch("contact_history", "new", _CHANGE))
    loaded = loader.load(batch("contact_history", "old"))
    assert loaded.missing == []
    rows = stored(settings, "SELECT history_id, contact_id FROM core.contact_history")
    assert rows == [{"history_id": "h1", "contact_id": "new"}]


def test_a_stored_record_that_a_certified_list_lacks_is_missing_not_yet_deleted(
    lake: Lake, settings: Settings
) -> None:
    Loader(lake, "first run").load(batch("contact_history", "c", _CHANGE))
    loaded = Loader(lake, "second run").load(batch("contact_history", "c"))
    assert [missing.record_id for missing in loaded.missing] == ["h1"]
    assert stored(settings, "SELECT deleted_at FROM core.contact_history")[0]["deleted_at"] is None


def test_a_deleted_record_that_comes_back_loses_its_tombstone(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "run")
    loader.load(batch("contact_history", "c", _CHANGE))
    Absences(lake, "run").mark_deleted(STREAMS["contact_history"], ["h1"], 0.1)
    gone = stored(settings, "SELECT deleted_at FROM core.contact_history")
    assert gone[0]["deleted_at"] is not None
    loader.load(batch("contact_history", "c", _CHANGE))
    assert stored(settings, "SELECT deleted_at FROM core.contact_history")[0]["deleted_at"] is None
    ops = stored(settings, "SELECT op FROM raw.records ORDER BY seq")
    assert [row["op"] for row in ops] == ["upsert", "tombstone", "upsert"]


def _age(lake: Lake, view: str) -> None:
    lake.write(
        "age it",
        lambda c: c.execute(f"CREATE OR REPLACE VIEW wh.core.{view} AS SELECT 1 AS old") and None,
    )
    lake.write("age it", lambda c: c.execute("DELETE FROM ops.home WHERE key = 'schema'") and None)
    with lake.reading() as connection:
        assert not schema.matches_this_version(connection)
    lake.write("make the tables", schema.create)
    with lake.reading() as connection:
        assert schema.matches_this_version(connection)


def test_views_of_an_older_version_are_renewed(lake: Lake, settings: Settings) -> None:
    _age(lake, "assignments")
    assert stored(settings, "FROM core.assignments") == []


def test_a_table_that_was_a_view_once_is_filled_by_the_next_merge(
    lake: Lake, settings: Settings
) -> None:
    event = b'{"eventId":"E","sourceType":2,"direction":1,"creationTime":"2026-01-05T10:00:00Z"}'
    Loader(lake, "run").load(batch("timelines", "v", event))
    merge(lake)
    lake.write("age it", lambda c: c.execute("DROP TABLE wh.core.messages") and None)
    _age(lake, "messages")
    merge(lake)
    assert [row["message_key"] for row in stored(settings, "FROM core.messages")] == ["e"]


def test_what_duckdb_does_not_take_for_json_is_set_aside_and_its_neighbours_are_stored(
    lake: Lake, settings: Settings
) -> None:
    """The reader lets nothing through that is none; should it ever, nothing else is lost."""
    for stream, parent in (("tags", None), ("property_statistics", "p")):
        made = batch(stream, parent, b'{"id":"good"}', b'{"id":"bad"}')
        page = made.pages[0].page
        if parent is None:
            page.payloads[1] = b'{"id":"bad"'
        else:
            page.payloads[0] = b'[{"id":"bad"'
        loaded = Loader(lake, "run").load(made)
        assert [(reject.stream, reject.reason) for reject in loaded.rejects] == [
            (stream, "bad_json")
        ]
    assert [row["tag_id"] for row in stored(settings, "FROM core.tags")] == ["good"]
    assert stored(settings, "FROM core.property_statistics") == []
    assert [row["record_id"] for row in stored(settings, "FROM raw.records")] == ["good"]
    assert len(stored(settings, "FROM ops.rejects")) == 2


def test_records_that_are_too_much_for_the_memory_together_are_stored_in_parts(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = versions.store

    def limited(connection: Any, stream: Stream, contents: pa.Table, *more: Any) -> Any:
        stored = store(connection, stream, contents, *more)
        if stored[0] > 2:
            raise duckdb.OutOfMemoryException("failed to allocate data of size 16.0 MiB")
        return stored

    monkeypatch.setattr(versions, "store", limited)
    records = [b'{"id":"t%d"}' % number for number in range(9)]
    loaded = Loader(lake, "run").load(batch("tags", None, *records))
    assert (loaded.changed, loaded.rejects) == (9, [])
    assert len(stored(settings, "FROM core.tags")) == 9
    assert len(stored(settings, "FROM ops.cursors")) == 1


def test_a_database_password_in_the_catalog_setting_is_not_shown(tmp_path: Path) -> None:
    catalog = "postgres:host=127.0.0.1 port=1 dbname=x password=hunter2secret"
    with pytest.raises(HomeError) as refused:
        Lake(Settings.load(home=tmp_path / "home", catalog=catalog))
    assert "hunter2secret" not in str(refused.value)


def test_a_list_never_read_is_not_certified(lake: Lake) -> None:
    loader = Loader(lake, "run")
    loader.load(batch("contacts", None, b'{"id":"a"}', b'{"id":"b"}'))
    loader.load(batch("contact_history", "a", _CHANGE))
    with lake.reading() as connection:
        certified = status.certificates(connection, ["contacts", "contact_history", "tags"])
        assert certified["contacts"] == (1, 0, 0)
        assert certified["contact_history"] == (2, 0, 1)
        assert certified["tags"] == (1, 0, 1)


def test_the_brake_is_on_a_run_as_a_whole(lake: Lake) -> None:
    contacts = [b'{"id":"c%d"}' % number for number in range(200)]
    Loader(lake, "first run").load(batch("contacts", None, *contacts))
    absences = Absences(lake, "second run")
    absences.mark_deleted(STREAMS["contacts"], [f"c{number}" for number in range(45)], 0.1)

    with pytest.raises(BrakeHeld, match="55 of 200"):
        absences.mark_deleted(STREAMS["contacts"], [f"c{number}" for number in range(45, 55)], 0.1)

    with lake.reading() as connection:
        assert status.live_rows(connection, "contacts") == 155
    assert Absences(lake, "third run").mark_deleted(STREAMS["contacts"], ["c50"], 0.1) == {
        "contacts": 1
    }
