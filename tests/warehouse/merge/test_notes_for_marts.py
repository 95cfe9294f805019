"""What the merge changes is noted for the marts, calls of no conversation too."""

from __future__ import annotations

from tests.warehouse.merge.world import World, call, call_event, message

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


def test_a_message_is_noted_under_its_conversation(world: World) -> None:
    world.put(message(conversationEventId="e1"))
    world.merge()
    assert _noted(world) == ["v"]
