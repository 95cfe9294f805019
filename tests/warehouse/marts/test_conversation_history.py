"""A conversation's status, assignee and tags from when to when, as plain Python has it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.warehouse.marts.world import World, local

BEGIN = local("03-01 00:00")
Row = dict[str, Any]


class Life:
    """Conversations whose changes happen, are logged or not, and are read now and then.

    Args:
        seed: of the chance.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.conversations: list[Row] = []
        self.observations: list[Row] = []
        self.assignments: list[Row] = []
        self.tags: list[Row] = []
        self.expected: list[tuple[Any, ...]] = []

    def conversation(self, name: str) -> None:
        """Let one live: every property by itself, since none depends on another."""
        own = {"conversation_id": name, "created_at": BEGIN}
        status, _ = self._observed(name, "status", "status", ("open", "closed"))
        assignee = self._logged(name)
        for tag in ("t1", "t2"):
            on, _ = self._observed(name, tag, "tag", (tag, None))
            if on:
                self.tags.append({"conversation_id": name, "tag_id": tag})
        self.conversations.append(own | {"status": status, "assignee_user_id": assignee})

    def _observed(
        self, name: str, key: str, of: str, values: tuple[str | None, ...]
    ) -> tuple[str | None, datetime]:
        value, at = self.random.choice(values), BEGIN
        rows: list[tuple[Any, ...]] = [(at, value, None, False)] if value else []
        for _ in range(self.random.randrange(4)):
            before, at = value, at + timedelta(hours=self.random.randint(1, 50))
            value = next(one for one in values if one != before)
            self._see(name, key, of, at, before, value)
            rows.append((at, value, None, False))
        self._expect(name, key, of, rows)
        return value, at

    def _logged(self, name: str) -> str | None:
        value: str | None = None
        at, rows = BEGIN, []
        for number in range(self.random.randrange(4)):
            before, at = value, at + timedelta(hours=self.random.randint(1, 50))
            value = self.random.choice([u for u in ("amal", "badr", None) if u != before])
            is_logged = self.random.random() < 0.7
            if is_logged:
                self.assignments.append(
                    {
                        "event_id": f"{name} {number}",
                        "conversation_id": name,
                        "assigned_at": at,
                        "assigned_user_id": value,
                        "assigned_by_user_id": "chi",
                    }
                )
            # It is seen some time after, or by a clock that is behind.
            late = timedelta(seconds=self.random.choice((-40, 20, 900)) if is_logged else 0)
            self._see(name, "assignee", "assignee", at + late, before, value)
            rows.append((at, value, "chi" if is_logged else None, is_logged))
        self._expect(name, "assignee", "assignee", rows)
        return value

    def _see(
        self, name: str, key: str, of: str, at: datetime, old: str | None, new: str | None
    ) -> None:
        self.observations.append(
            {
                "conversation_id": name,
                "property_key": key,
                "property_name": of,
                "observed_at": at,
                "old_value": old,
                "new_value": new,
            }
        )

    def _expect(self, name: str, key: str, of: str, rows: list[tuple[Any, ...]]) -> None:
        ends = [one[0] for one in rows[1:]] + [None] * bool(rows)
        self.expected += [
            (name, key, of, at, value, end, by, exact)
            for (at, value, by, exact), end in zip(rows, ends, strict=True)
        ]


def _history(world: World) -> list[tuple[Any, ...]]:
    with world.lake.reading() as connection:
        return connection.execute(
            "FROM marts.conversation_history ORDER BY conversation_id, property_key, valid_from"
        ).fetchall()


def test_history_equals_that_of_a_life_in_plain_python(world: World) -> None:
    life = Life(seed=5)
    for number in range(400):
        life.conversation(f"c{number:03}")
    world.put("conversations", *life.conversations)
    world.put("conversation_observations", *life.observations)
    world.put("assignments", *life.assignments)
    world.put("conversation_tags", *life.tags)

    found = _history(world)

    assert found == sorted(life.expected, key=lambda row: row[:2] + row[3:4])
    assert len(found) > 1_000
    spans = [(one, other) for one, other in pairwise(found) if one[:2] == other[:2]]
    assert all(one[5] == other[3] for one, other in spans)


@pytest.mark.parametrize("table", ["assignments", "conversation_observations"])
def test_a_conversation_that_is_not_stored_keeps_what_is_known_of_it(
    world: World, table: str
) -> None:
    known = {
        "assignments": {"event_id": "e", "assigned_at": BEGIN, "assigned_user_id": "amal"},
        "conversation_observations": {
            "property_key": "assignee",
            "property_name": "assignee",
            "observed_at": BEGIN,
            "new_value": "amal",
        },
    }
    world.put(table, {"conversation_id": "c", **known[table]})
    ((*_, start, value, end, _, _),) = _history(world)
    assert (start, value, end) == (BEGIN, "amal", None)
