"""What the merge changes is noted for the marts, calls of no conversation too."""

from __future__ import annotations

import duckdb
import pytest

from tests.warehouse.merge.world import World, call, call_event, message
from warehouse.merge import calls

_NOTED = (
    "SELECT key FROM ops.outdated WHERE consumer = 'marts' AND kind = 'conversation' ORDER BY 1"
)


def _noted(world: World) -> list[str]:
    """The conversations noted since the last look."""
    keys = [key for (key,) in world.query(_NOTED)]
    world.lake.write(
        "work off",
        lambda c: c.execute("DELETE FROM ops.outdated WHERE consumer = 'marts'") and None,
    )
    return keys


def test_a_call_of_no_conversation_is_noted_once_and_again_when_it_finds_its_own(
    world: World,
) -> None:
    world.put(call())
    world.merge()
    assert _noted(world) == [""]
    world.merge()
    assert _noted(world) == []
    world.list(call_event("e1", source_id="C1"))
    world.merge()
    assert _noted(world) == ["", "v"]


def test_a_delivery_about_a_message_leaves_the_calls_of_its_conversation_as_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[list[str]] = []
    reach = calls._reach

    def noting(connection: duckdb.DuckDBPyConnection) -> None:
        merged.append([key for (key,) in connection.execute("SELECT key FROM chosen").fetchall()])
        reach(connection)

    monkeypatch.setattr(calls, "_reach", noting)
    world.list(call_event("e1"))
    world.merge()
    world.put(message(conversationEventId="e2"))
    world.merge()
    assert merged == [["v"]]
    world.list(call_event("e3"))
    world.merge()
    assert merged == [["v"], ["v"]]


def test_a_message_is_noted_under_its_conversation_and_as_activity_of_its_contact(
    world: World,
) -> None:
    """The contact itself did not change: its other conversations need not be computed."""
    world.put(message(conversationEventId="e1", contactId="k"))
    world.merge()
    noted = "SELECT kind, key FROM ops.outdated WHERE consumer = 'marts' ORDER BY ALL"
    assert world.query(noted) == [("activity", "k"), ("conversation", "v")]
