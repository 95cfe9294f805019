"""What two readings of a conversation differ in is kept as a change that was seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.comparison import stored
from tests.warehouse.records.readings import GONE, Readings, read_in_turn
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.records import rebuild
from warehouse.settings.environment import Settings


def _tagged(*tags: str | None) -> dict[str, Any]:
    return {"status": 1, "tags": [{"id": tag, "name": tag} for tag in tags]}


#: What each conversation was read as, a reading after the other.
_READINGS: Readings = {
    "constant": ({"status": 1}, {"status": "Open"}),
    "reopened": ({"status": 1}, {"status": 2}, {"status": "Open"}),
    "handed": (
        {"assignedAiAgentId": "ROBO"},
        {"assigneeId": "Amal", "assignedAiAgentId": None},
        {"assigneeId": "00000000-0000-0000-0000-000000000000"},
    ),
    "tagged": (
        _tagged("T1"),
        _tagged("t1", "T2"),
        {"status": 1},
        _tagged("T2", "T3", "T3", None),
    ),
    "strange": ({"status": 1, "tags": "none"}, {"status": None, "tags": {}}, {"status": 7}),
    "returning": ({"status": 1}, GONE, {"status": 2}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("observations")


@pytest.fixture(scope="module")
def lake(home: Path) -> Iterator[Lake]:
    """A lake into which every conversation was read, a reading of each at a time."""
    with Lake(Settings.load(home=home)) as lake:
        lake.write("make the tables", schema.create)
        read_in_turn(lake, "conversations", "line", _READINGS)
        yield lake


def _seen(lake: Lake, conversation: str) -> list[tuple[str, str | None, str | None]]:
    with lake.reading() as connection:
        return connection.execute(
            "SELECT property_name, old_value, new_value FROM core.conversation_observations "
            "WHERE conversation_id = ? ORDER BY observed_at, property_key",
            [conversation],
        ).fetchall()


def test_the_same_status_in_another_form_is_no_change(lake: Lake) -> None:
    assert _seen(lake, "constant") == []


def test_a_conversation_that_was_closed_and_opened_shows_both(lake: Lake) -> None:
    assert _seen(lake, "reopened") == [("status", "open", "closed"), ("status", "closed", "open")]


def test_an_assignee_changes_from_an_ai_agent_to_a_person_to_none(lake: Lake) -> None:
    assert _seen(lake, "handed") == [("assignee", "robo", "amal"), ("assignee", "amal", None)]


def test_each_tag_that_comes_or_goes_is_a_change_and_a_missing_key_is_none(lake: Lake) -> None:
    assert _seen(lake, "tagged") == [
        ("tag", None, "t2"),
        ("tag", "t1", None),
        ("tag", None, "t3"),
    ]


def test_values_of_a_wrong_type_are_no_change_and_an_unknown_status_is_one(lake: Lake) -> None:
    assert _seen(lake, "strange") == [("status", "open", "unknown:7")]


def test_a_conversation_that_comes_back_changed_is_compared_with_what_it_was(lake: Lake) -> None:
    assert _seen(lake, "returning") == [("status", "open", "closed")]


def test_a_rebuild_sees_the_same_changes(lake: Lake, home: Path) -> None:
    everything = "FROM core.conversation_observations ORDER BY ALL"
    before = stored(Settings.load(home=home), everything)
    rebuild.rebuild(lake, lambda *_: None)
    assert stored(Settings.load(home=home), everything) == before
    assert len(before) == 9
