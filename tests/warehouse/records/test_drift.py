"""What is new is noted once, and never without end."""

from __future__ import annotations

from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records import drift
from warehouse.records.loader import Loader


def test_an_object_with_keys_of_its_own_in_each_record_is_not_noted_without_end(
    lake: Lake,
) -> None:
    loader = Loader(lake, "run")
    for first in (0, 2_000):
        keys = b",".join(b'"key %d":1' % number for number in range(first, first + 2_000))
        loader.load(batch("tags", None, b'{"id":"t","more":{%s}}' % keys))
    with lake.reading() as connection:
        found = drift.by_stream(connection)["tags"]
    assert len(found) == len({one.what for one in found}) == drift.MOST
    assert {one.example for one in found} == {"t"}


def test_keys_of_any_spelling_are_noted_once(lake: Lake) -> None:
    loader = Loader(lake, "run")
    for name in (b"a", b"b"):
        loader.load(
            batch("tags", None, b'{"id":"t","name":"%s","it\'s":1,"":2,"{":3,"%%s":4}' % name)
        )
    with lake.reading() as connection:
        assert sorted(one.what for one in drift.by_stream(connection)["tags"]) == [
            "",
            "%s",
            "it's",
            "{",
        ]
