"""What two readings of a contact differ in is kept as a change that was seen."""

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

_NUMBER = "0500000000"


def _tier(name: str, value: str) -> dict[str, Any]:
    key = "3A1F0000-0000-0000-0000-00000000000A"
    return {
        "customProperties": [
            {"propertyDefinitionId": key, "propertyName": name, "selectValue": value}
        ]
    }


#: What each contact was read as, a reading after the other.
_READINGS: Readings = {
    "constant": ({"company": "A"}, {"company": "A"}),
    "changing": (
        {"company": "A", "email": "e", "phoneNumber": _NUMBER},
        {"company": "B", "email": "e", "phoneNumber": {"number": _NUMBER}},
        {"company": "A", "email": None, "phoneNumber": _NUMBER},
    ),
    "custom": (
        {},
        _tier("Tier", "silver"),
        _tier("Level", "silver"),
        _tier("Level", "gold"),
        {"customProperties": []},
    ),
    "spelt": (
        {},
        {
            "customProperties": [
                {"propertyDefinitionId": "n", "propertyName": "Age", "numberValue": 5.0},
                {
                    "propertyDefinitionId": "d",
                    "propertyName": "Day",
                    "dateValue": "2026-01-01T22:00:00Z",
                },
            ]
        },
    ),
    "returning": ({"company": "A"}, GONE, {"company": "B"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("observations")


@pytest.fixture(scope="module")
def lake(home: Path) -> Iterator[Lake]:
    """A lake into which every contact was read, a reading of each at a time."""
    with Lake(Settings.load(home=home)) as lake:
        lake.write("make the tables", schema.create)
        read_in_turn(lake, "contacts", None, _READINGS)
        yield lake


def _seen(lake: Lake, contact: str) -> list[tuple[str, str | None, str | None]]:
    with lake.reading() as connection:
        return connection.execute(
            "SELECT property_name, old_value, new_value FROM core.contact_observations "
            "WHERE contact_id = ? ORDER BY observed_at, property_name",
            [contact],
        ).fetchall()


def test_a_contact_that_says_the_same_again_shows_no_change(lake: Lake) -> None:
    assert _seen(lake, "constant") == []


def test_every_field_that_differs_is_a_change_there_and_back(lake: Lake) -> None:
    # The number is the same in either shape.
    assert _seen(lake, "changing") == [
        ("Company", "A", "B"),
        ("Company", "B", "A"),
        ("Email", "e", None),
    ]


def test_a_custom_property_that_comes_changes_and_goes_is_followed_through_a_new_name(
    lake: Lake,
) -> None:
    assert _seen(lake, "custom") == [
        ("Level", None, "silver"),
        ("Level", "silver", "gold"),
        ("Level", "gold", None),
    ]


def test_numbers_and_days_are_spelt_as_the_present_value_is(lake: Lake) -> None:
    assert _seen(lake, "spelt") == [("Age", None, "5"), ("Day", None, "2026-01-02")]


def test_a_contact_that_comes_back_changed_is_compared_with_what_it_was(lake: Lake) -> None:
    assert _seen(lake, "returning") == [("Company", "A", "B")]


def test_a_rebuild_sees_the_same_changes(lake: Lake, home: Path) -> None:
    everything = "FROM core.contact_observations ORDER BY ALL"
    before = stored(Settings.load(home=home), everything)
    rebuild.rebuild(lake, lambda *_: None)
    assert stored(Settings.load(home=home), everything) == before
    assert len(before) == 9
