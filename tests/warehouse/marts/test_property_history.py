"""Which value a property had from when to when: by the change log, and by what was seen.

Each test tells of a contact of its own, made on New Year's Day; all are computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import pytest

from tests.warehouse.marts.world import World, local

Change = tuple[datetime, str | None, str | None]
Test = TypeVar("Test", bound=Callable[..., None])

MADE = local("01-01 00:00")
FIRST, SECOND, THIRD = local("02-01 09:00"), local("03-01 09:00"), local("04-01 09:00")
_ROWS: dict[str, list[dict[str, Any]]] = {}


def contact(
    name: str, *, logged: tuple[Change, ...] = (), seen: tuple[Change, ...] = (), **columns: Any
) -> Callable[[Test], Test]:
    """Tell of a contact for the test below.

    Args:
        name: its id.
        logged: changes of its company in the service's log, by Amal: when, from what, to what.
        seen: such changes seen between two readings.
        columns: of the contact as it is now; `tier` is a custom property.
    """
    own = {"contact_id": name}
    tier = columns.pop("tier", None)
    _put("contacts", own | {"created_at": MADE} | columns)
    for number, (at, old, new) in enumerate(logged):
        change = {"old_value": old, "new_value": new, "changed_at": at, "changed_by": "amal"}
        key = {"history_id": f"{name} {number}", "property_name": "Company"}
        _put("contact_history", own | key | change)
    spelling = {"property_key": "p", "property_name": tier[0]} if tier else COMPANY
    for at, old, new in seen:
        change = {"observed_at": at, "old_value": old, "new_value": new}
        _put("contact_observations", own | spelling | change)
    if tier:
        named = {"property_id": "p", "property_name": tier[0], "text_value": tier[1]}
        _put("contact_properties", own | named)
    return lambda test: test


COMPANY = {"property_key": "Company", "property_name": "Company"}


def _put(table: str, row: dict[str, Any]) -> None:
    _ROWS.setdefault(table, []).append(row)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("known"))
    for table, rows in _ROWS.items():
        world.put(table, *rows)
    world.refresh()
    yield world
    world.close()


def history(known: World, name: str, property_name: str = "Company") -> list[tuple]:
    rows = known.rows(
        "SELECT value, valid_from, valid_to, changed_by FROM marts.contact_property_history "
        f"WHERE contact_id = '{name}' AND property_name = '{property_name}' ORDER BY valid_from"
    )
    return [tuple(row.values()) for row in rows]


@contact("constant", email="e", modified_at=THIRD)
def test_a_value_that_never_changed_holds_since_the_contact_was_made(known: World) -> None:
    assert history(known, "constant", "Email") == [("e", MADE, None, None)]


@contact("logged", company="B", logged=((FIRST, "A", None), (SECOND, None, "B")))
def test_each_logged_change_ends_the_value_before(known: World) -> None:
    assert history(known, "logged") == [
        ("A", MADE, FIRST, None),  # the log says what was before its first change
        (None, FIRST, SECOND, "amal"),
        ("B", SECOND, None, "amal"),
    ]


@contact("from nothing", company="A", logged=((FIRST, None, "A"),))
def test_a_property_without_a_value_before_its_first_change_begins_with_it(known: World) -> None:
    assert history(known, "from nothing") == [("A", FIRST, None, "amal")]


@contact("same instant", company="B", logged=((FIRST, None, "X"), (FIRST, "X", "B")))
def test_of_two_changes_in_the_same_instant_the_last_counts(known: World) -> None:
    assert history(known, "same instant") == [("B", FIRST, None, "amal")]


@contact("untold", company="C", modified_at=THIRD, logged=((FIRST, "A", "B"),))
def test_a_present_value_that_no_change_tells_of_holds_since_the_last_modification(
    known: World,
) -> None:
    assert history(known, "untold") == [
        ("A", MADE, FIRST, None),
        ("B", FIRST, THIRD, "amal"),
        ("C", THIRD, None, None),
    ]


@contact("only seen", company="B", seen=((SECOND, "A", "B"),))
def test_a_change_that_was_only_seen_holds_since_then_and_is_nobodys(known: World) -> None:
    assert history(known, "only seen") == [
        ("A", MADE, SECOND, None),
        ("B", SECOND, None, None),
    ]


@contact("both", company="B", logged=((FIRST, "A", "B"),), seen=((SECOND, "A", "B"),))
def test_a_change_that_was_logged_and_seen_later_is_one_the_logs(known: World) -> None:
    assert history(known, "both") == [("A", MADE, FIRST, None), ("B", FIRST, None, "amal")]


@contact("at once", company="C", logged=((FIRST, "A", "B"),), seen=((FIRST, "A", "C"),))
def test_of_a_change_logged_and_another_seen_in_the_same_instant_the_logs_counts(
    known: World,
) -> None:
    assert history(known, "at once") == [("A", MADE, FIRST, None), ("B", FIRST, None, "amal")]


MINUTE = local("02-01 09:01:00")


@contact("clock ahead", company="B", logged=((MINUTE, "A", "B"),), seen=((FIRST, "A", "B"),))
def test_a_change_seen_by_a_clock_ahead_of_the_logs_is_one_the_logs(known: World) -> None:
    # Seen at 9:00:00, logged at 9:01:00 by the service's clock: at most a minute later.
    assert history(known, "clock ahead") == [
        ("A", MADE, MINUTE, None),
        ("B", MINUTE, None, "amal"),
    ]


MORE = local("02-01 09:01:01")


@contact("too late", company="B", logged=((MORE, "A", "B"),), seen=((FIRST, "A", "B"),))
def test_logged_more_than_a_minute_after_it_was_seen_it_is_another(known: World) -> None:
    assert history(known, "too late") == [
        ("A", MADE, FIRST, None),
        ("B", FIRST, MORE, None),
        ("B", MORE, None, "amal"),
    ]


@contact(
    "fast",
    company="C",
    logged=((FIRST, "A", "B"), (SECOND, "B", "C")),
    seen=((THIRD, "A", "C"),),
)
def test_between_two_readings_the_log_tells_of_more_than_was_seen(known: World) -> None:
    assert history(known, "fast") == [
        ("A", MADE, FIRST, None),
        ("B", FIRST, SECOND, "amal"),
        ("C", SECOND, None, "amal"),
    ]


@contact(
    "there and back",
    company="B",
    logged=((FIRST, "A", "B"),),
    seen=((SECOND, "B", "C"), (THIRD, "C", "B")),
)
def test_there_and_back_unlogged_is_two_changes_seen(known: World) -> None:
    assert history(known, "there and back") == [
        ("A", MADE, FIRST, None),
        ("B", FIRST, SECOND, "amal"),
        ("C", SECOND, THIRD, None),
        ("B", THIRD, None, None),
    ]


@contact("gone", modified_at=THIRD, seen=((SECOND, "A", None),))
def test_a_value_seen_to_go_is_an_interval_without_one(known: World) -> None:
    assert history(known, "gone") == [("A", MADE, SECOND, None), (None, SECOND, None, None)]


@contact("seen first", company="C", logged=((SECOND, "B", "C"),), seen=((FIRST, "A", "B"),))
def test_a_change_seen_before_the_log_begins_is_the_first(known: World) -> None:
    assert history(known, "seen first") == [
        ("A", MADE, FIRST, None),
        ("B", FIRST, SECOND, None),
        ("C", SECOND, None, "amal"),
    ]


@contact("custom", tier=("Tier", "gold"), seen=((FIRST, "silver", "gold"),))
def test_a_custom_property_has_a_history_under_its_name(known: World) -> None:
    assert history(known, "custom", "Tier") == [
        ("silver", MADE, FIRST, None),
        ("gold", FIRST, None, None),
    ]


@contact("like a field", email="e", tier=("Email", "other"))
def test_a_custom_property_named_like_a_field_does_not_hide_the_field(known: World) -> None:
    assert history(known, "like a field", "Email") == [("e", MADE, None, None)]
