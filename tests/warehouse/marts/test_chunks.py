"""Chunks of outdated keys: bounded in messages, found once, and anew where more keys came."""

from __future__ import annotations

from functools import partial

import pytest
from duckdb import DuckDBPyConnection

from tests.warehouse.marts.world import World
from warehouse.lake import invalidation
from warehouse.lake.sql import scalar
from warehouse.marts import scopes
from warehouse.marts.scopes import MARTS, WHOLE, Chunks, Scope

_CONVERSATIONS = WHOLE[0]


def _mark(world: World, *names: str) -> None:
    keys = f"SELECT unnest({list(names)}) AS key"
    world.lake.write("mark", lambda c: invalidation.mark(c, MARTS, "conversation", keys))


def _end(world: World, chunks: Chunks) -> str | None:
    with world.lake.reading() as connection:
        number = scalar(connection, f"SELECT count(*) {_CONVERSATIONS.outdated(connection)}")
        return chunks.end(connection, _CONVERSATIONS, number)


def _done(connection: DuckDBPyConnection, end: str) -> None:
    connection.execute(f"DELETE {_CONVERSATIONS.outdated(connection)} AND key <= '{end}'")


def _work_off(world: World, chunks: Chunks) -> list[str]:
    """Take what is marked a chunk at a time; return the last key of each but the last."""
    ends = []
    while end := _end(world, chunks):
        ends.append(end)
        world.lake.write("work off", partial(_done, end=end))
    return ends


def test_a_chunk_holds_a_bounded_number_of_messages_beside_one_large_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "CHUNK", 6)
    for name in "abcdefg":
        world.say(name, *["customer 03-01 09:00"] * (20 if name == "d" else 1))
    world.refresh()
    _mark(world, *"abcdefg")
    assert _work_off(world, Chunks()) == ["c", "e"]


def test_chunks_are_found_anew_where_more_keys_came_than_there_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "CHUNK", 2)
    for name in "abcdef":
        world.say(name, "customer 03-01 09:00")
    world.refresh()
    _mark(world, "a", "b")
    chunks, searched, find = Chunks(), [], scopes._ends

    def counted(connection: DuckDBPyConnection, scope: Scope) -> list[str]:
        searched.append(scope.of)
        return find(connection, scope)

    monkeypatch.setattr(scopes, "_ends", counted)
    assert _end(world, chunks) == "a"
    assert _end(world, chunks) == "a"
    assert len(searched) == 1
    _mark(world, "c", "d", "e", "f")
    assert _work_off(world, chunks) == ["a", "b", "c", "d", "e"]
    assert len(searched) == 2
