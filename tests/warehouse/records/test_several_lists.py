"""A record that several lists show stays with one of them, and goes on to another that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hatif.streams import STREAMS
from tests.warehouse.batches import batch, batch_of_lists
from warehouse.lake.connection import Lake
from warehouse.models.model import main_model
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild

#: A record of each stream with lists of its own, named x.
_RECORDS: dict[str, dict[str, Any]] = {
    "contact_history": {"id": "x", "propertyName": "Email", "creationTime": "2026-01-05T10:00:00"},
    "conversations": {"id": "x", "status": 1},
    "timelines": {"eventId": "x", "sourceType": 2, "creationTime": "2026-01-05T10:00:00Z"},
}


def _store_parents(lake: Lake, stream: str) -> None:
    """Store the parents a and b of a stream's lists."""
    parents = STREAMS[stream].parent or ""
    owners = [json.dumps({STREAMS[parents].id_key: one}).encode() for one in "ab"]
    Loader(lake, "run").load(batch(parents, "p" if STREAMS[parents].parent else None, *owners))


def _read(lake: Lake, stream: str, *batches: Mapping[str, Sequence[str]]) -> int:
    """Read whole lists, by parent, with x in them or not, in a run a batch.

    Returns:
        How many records changed.
    """
    changed = 0
    for lists in batches:
        texts: dict[str | None, list[bytes]] = {
            parent: [json.dumps(_RECORDS[stream] | {"of": parent}).encode() for _ in shown]
            for parent, shown in lists.items()
        }
        changed += Loader(lake, "run").load(batch_of_lists(stream, texts)).changed
    return changed


def _place(lake: Lake, stream: str) -> list[tuple[str | None, bool]]:
    model = main_model(stream)
    with lake.reading() as connection:
        return connection.execute(
            f"SELECT {model.parent}, deleted_at IS NULL FROM {model.table}"
        ).fetchall()


@pytest.mark.parametrize("stream", list(_RECORDS))
def test_a_record_of_two_lists_stays_with_one_until_that_shows_it_no_more(
    lake: Lake, stream: str
) -> None:
    _store_parents(lake, stream)
    _read(lake, stream, {"a": "x"}, {"b": "x"})
    for lists in ({"a": "x"}, {"b": "x"}, {"a": "x", "b": "x"}, {"b": "x", "a": "x"}):
        assert _read(lake, stream, lists) == 0
    assert _place(lake, stream) == [("b", True)]
    for one, other, batches in (
        ("b", "a", [{"b": "", "a": "x"}]),
        ("a", "b", [{"a": ""}, {"b": "x"}]),
        ("b", "a", [{"a": "x"}, {"b": ""}, {"a": "x"}]),
    ):
        _read(lake, stream, *batches)
        assert _place(lake, stream) == [(other, True)]
        assert _read(lake, stream, {other: "x"}, {one: ""}, {other: "x"}) == 0


def test_lists_of_one_batch_that_show_one_record_are_both_remembered(lake: Lake) -> None:
    _store_parents(lake, "contact_history")
    _read(lake, "contact_history", {"a": "x", "b": "x"})
    for lists in ({"b": "x", "a": "x"}, {"a": "x"}, {"b": "x"}):
        assert _read(lake, "contact_history", lists) == 0
    rebuild(lake, lambda *_: None)
    assert _place(lake, "contact_history") == [("b", True)]


def test_a_record_of_a_deleted_parent_goes_back_to_a_list_that_shows_it(lake: Lake) -> None:
    _store_parents(lake, "conversations")
    _read(lake, "conversations", {"a": "x"}, {"b": "x"})
    Absences(lake, "run").mark_deleted(STREAMS["channels"], ["b"], None)
    _read(lake, "conversations", {"a": "x"})
    assert _place(lake, "conversations") == [("a", True)]


def test_the_list_that_may_show_a_missing_record_is_read_next(lake: Lake) -> None:
    _store_parents(lake, "contact_history")
    _read(lake, "contact_history", {"a": "x"}, {"b": "x"}, {"b": ""})
    with lake.reading() as connection:
        hints = connection.execute("SELECT stream, parent_id, whole FROM ops.hints").fetchall()
    assert hints == [("contact_history", "a", True)]


def test_a_list_that_may_show_a_missing_record_is_read_once_more_in_the_same_run(
    lake: Lake,
) -> None:
    """Two such lists could have each other read without end."""
    _store_parents(lake, "contact_history")
    _read(lake, "contact_history", {"a": "x"}, {"b": "x"})
    loader = Loader(lake, "run")
    loads = [loader.load(batch_of_lists("contact_history", {"b": []})) for _ in range(2)]
    assert [[target.parent for target in one.disagreeing] for one in loads] == [["a"], []]
