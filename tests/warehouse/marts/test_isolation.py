"""A conversation or contact that DuckDB refuses is set aside; its neighbours are computed."""

from __future__ import annotations

from pathlib import Path

from hatif.webhooks.signatures import Secrets
from hatif.wire import Spelling
from tests.warehouse.marts.world import World
from tests.warehouse.merge.world import World as MergeWorld
from tests.warehouse.merge.world import event, message
from warehouse.lake import invalidation
from warehouse.replay import replay

#: DuckLake hands ids to its catalog as text, which a NUL ends.
BAD = "bad\0id"
_REJECTS = "SELECT stream, raw, reason FROM ops.rejects WHERE replayed_at IS NULL ORDER BY ALL"


def test_a_conversation_that_is_refused_stops_no_other_mart(world: World) -> None:
    for name in ("a", BAD, "z"):
        world.say(name, "customer 03-01 09:00", "agent 03-01 09:10")
    world.refresh()
    found = world.rows("SELECT conversation_id FROM marts.response_times ORDER BY 1")
    assert [row["conversation_id"] for row in found] == ["a", "z"]
    (reject,) = world.rows(_REJECTS)
    assert (reject["stream"], reject["raw"]) == ("marts by conversation", "bad\\x00id")
    assert reject["reason"].startswith("refused:")
    assert sum(one.written for one in world.refresh().values()) == 0
    replayed = replay(world.lake, Secrets(""), Spelling(frozenset()))
    assert (replayed.settled, replayed.left) == (1, 0)
    world.refresh()
    assert len(world.rows(_REJECTS)) == 1


def test_a_conversation_is_set_aside_once_by_its_timeline_and_its_messages(world: World) -> None:
    merging = MergeWorld(world.lake)
    merging.list(event("e1", conversation_id=BAD), event("e2"))
    marked = "SELECT conversation_id AS key FROM core.timeline_events"
    world.lake.write("mark", lambda c: invalidation.mark(c, "merge", "messages", marked))
    merging.merge()
    assert [row["message_key"] for row in merging.rows("messages")] == ["e2"]
    assert len(world.rows(_REJECTS)) == 1


def test_a_conversation_that_is_refused_stops_no_other_merge(world: World, tmp_path: Path) -> None:
    merging = MergeWorld(world.lake)
    merging.list(event("e1"), event("e2", conversation_id=BAD), event("e3", conversation_id="w"))
    merging.merge()
    assert [row["message_key"] for row in merging.rows("messages")] == ["e1", "e3"]
    (reject,) = world.rows(_REJECTS)
    assert (reject["stream"], reject["raw"]) == ("core.messages", "bad\\x00id")
    assert merging.merge().messages == 0
    merging.put(message(messageId="W", conversationId="w", body="other"))
    assert merging.merge_all().deliveries == 1
    assert [row["message_key"] for row in merging.rows("messages")] == ["e1", "e3", "wamid:W"]
    assert len(world.rows(_REJECTS)) == 1
