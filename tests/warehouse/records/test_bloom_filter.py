"""A first sync that does not ask the lake for what it cannot hold, and misses nothing by it."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from hatif.streams import STREAMS
from tests.comparison import stored
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.versions import StoredIdFilter
from warehouse.settings.environment import Settings

_TAGS = STREAMS["tags"]


def _tag(number: int, name: str) -> bytes:
    return b'{"id":"t%d","name":"%s"}' % (number, name.encode())


def _names(settings: Settings) -> dict[str, str]:
    rows = stored(settings, "SELECT tag_id, name FROM core.tags WHERE deleted_at IS NULL")
    assert len({row["tag_id"] for row in rows}) == len(rows)
    return {row["tag_id"]: row["name"] for row in rows}


@given(st.lists(st.lists(st.text())))
def test_what_was_met_is_always_familiar(batches: list[list[str]]) -> None:
    familiar = StoredIdFilter("tags", 0)
    for record_ids in batches:
        familiar.met(record_ids, len(record_ids))
        assert familiar.among(record_ids) == record_ids
    everything = [record_id for record_ids in batches for record_id in record_ids]
    assert familiar.among(everything) == everything
    assert familiar.top == len(everything)


def test_what_is_new_seldom_is() -> None:
    familiar = StoredIdFilter("tags", 0)
    familiar.met([str(UUID(int=number)) for number in range(300_000)], 300_000)
    fresh = [str(UUID(int=number)) for number in range(300_000, 500_000)]
    assert len(familiar.among(fresh)) < 20


def test_a_record_met_again_within_the_first_sync_is_a_version_of_itself(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "first run")
    assert loader.load(batch("tags", None, _tag(1, "A"), _tag(2, "A"))).changed == 2
    assert loader.load(batch("tags", None, _tag(2, "A"), _tag(3, "A"))).changed == 1
    assert loader.load(batch("tags", None, _tag(3, "B"), _tag(4, "A"))).changed == 2
    assert _names(settings) == {"t1": "A", "t2": "A", "t3": "B", "t4": "A"}
    versions = stored(settings, "SELECT seq FROM raw.records ORDER BY seq")
    assert [row["seq"] for row in versions] == [1, 2, 3, 4, 5]


def test_a_record_that_somebody_else_stored_meanwhile_is_not_stored_twice(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "first run")
    loader.load(batch("tags", None, _tag(1, "A")))
    replayed = batch("tags", None, _tag(2, "A")).pages[0].page
    assert Loader(lake, "replay").restore(_TAGS, None, replayed)
    loader.load(batch("tags", None, _tag(2, "B"), _tag(3, "A")))
    loader.load(batch("tags", None, _tag(2, "B"), _tag(3, "A")))
    assert _names(settings) == {"t1": "A", "t2": "B", "t3": "A"}
    assert len(stored(settings, "FROM raw.records")) == 4


def test_a_record_deleted_in_the_first_sync_comes_back(lake: Lake, settings: Settings) -> None:
    loader = Loader(lake, "first run")
    loader.load(batch("tags", None, _tag(1, "A"), _tag(2, "A")))
    Absences(lake, "run").mark_deleted(_TAGS, ["t1"], None)
    assert _names(settings) == {"t2": "A"}
    loader.load(batch("tags", None, _tag(1, "A"), _tag(2, "A")))
    assert _names(settings) == {"t1": "A", "t2": "A"}
    ops = stored(settings, "SELECT record_id, op FROM raw.records ORDER BY seq")
    assert [(row["record_id"], row["op"]) for row in ops[2:]] == [
        ("t1", "tombstone"),
        ("t1", "upsert"),
    ]


def test_two_streams_in_turn_do_not_confuse_each_other(lake: Lake, settings: Settings) -> None:
    loader = Loader(lake, "first run")
    user = b'{"userId":"t1","name":"U"}'
    loader.load(batch("tags", None, _tag(1, "A")))
    loader.load(batch("users", None, user))
    loader.load(batch("tags", None, _tag(1, "B")))
    assert loader.load(batch("users", None, user)).changed == 0
    assert _names(settings) == {"t1": "B"}
