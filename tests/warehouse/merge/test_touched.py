"""Passes that merge only what new deliveries touch of a conversation end as merging all of it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.warehouse.merge.conftest import empty
from tests.warehouse.merge.passes import make_pass, outcome, remembering
from tests.warehouse.merge.world import Delivery, World, at, event, message, sent
from warehouse.lake.known_ids import KnownIds
from warehouse.merge import rows
from warehouse.webhooks.deliveries import type_all

#: Seconds at which messages are sent: within 2 s of each other, in rows of these, and within 30 s.
_TIMES = (0, 1, 1.5, 3, 5, 20, 31, 33, 35, 60, 61, 64.5, 90, 90, 200, 230, 230.5, 260, 261)
_STORIES, _FIRST, _LATER, _PASSES = 80, 10, 1, 6


def _one_of(chance: random.Random, number: int, *names: str | None) -> str | None:
    name = chance.choice(names)
    return None if name is None else f"{name}-{number}"


def _delivery(chance: random.Random, number: int) -> Delivery:
    """One of the messages of a conversation, in whatever way it may be told."""
    seconds = chance.choice(_TIMES)
    own = str(seconds)
    return message(
        chance.randint(300, 400),
        creationTime=sent(at(seconds)),
        conversationId=f"v-{number}",
        conversationEventId=_one_of(chance, number, None, None, f"e{own}", f"e{own}", "e60"),
        messageId=_one_of(chance, number, None, f"w{own}", f"w{own}", "w0"),
        contactId=f"k-{number}",
        channelId=chance.choice(("ch", "ch", "ch", "other")),
        direction=chance.choice(("Inbound", "Outbound")),
        messageType=chance.choice(("Text", "Text", "Text", "MessageEdited", "MessageDeleted")),
        status=chance.choice(("Pending", "Sent", "Delivered", "Read")),
        body=chance.choice((None, "yes", "no")),
    )


def _listed(chance: random.Random, number: int) -> list[dict[str, Any]]:
    times = chance.sample(sorted(set(_TIMES)), 8)
    return [
        event(
            f"{chance.choice('et')}{seconds}-{number}",
            conversation_id=f"v-{number}",
            contact_id=f"k-{number}",
            occurred_at=at(seconds + chance.choice((0, 0, 1))),
            direction=chance.choice(("inbound", "outbound")),
            body=chance.choice((None, "yes", "no")),
        )
        for seconds in times
    ]


def _pass(world: World, known: KnownIds, *deliveries: Delivery) -> int:
    """Make a pass; return how many deliveries the merge looked at."""
    looked_at: list[int] = []

    def ends() -> None:
        ((number,),) = world.query("SELECT count(*) FROM gathered_statuses")
        looked_at.append(int(number))

    make_pass(world, known, *deliveries, ends=ends)
    return looked_at[0]


@pytest.mark.parametrize(("seed", "at_once"), [(0, None), (1, None), (2, 300)])
def test_whatever_comes_in_passes_ends_as_if_it_had_come_at_once(
    world: World, seed: int, at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once:
        monkeypatch.setattr(rows, "_ROWS_TOUCHABLE", at_once)
        monkeypatch.setattr(rows, "_ROWS", at_once)
    chance = random.Random(seed)
    first = [_delivery(chance, n) for n in range(_STORIES) for _ in range(_FIRST)]
    listed = [row for n in range(_STORIES) for row in _listed(chance, n)]
    later = [
        [_delivery(chance, n) for n in range(_STORIES) for _ in range(_LATER)]
        for _ in range(_PASSES)
    ]
    again = [replace(one, received_at=at(chance.randint(270, 290))) for one in first[::9]]
    later[-1] += again  # known bodies, which came earlier than was known
    world.list(*listed)
    world.put(*first)
    world.merge()
    known = remembering()
    looked_at = [_pass(world, known, *some) for some in later]
    assert looked_at[0] < len(first) * 0.6
    in_passes = outcome(world)
    assert any(row["is_probable_auto_reply"] for row in in_passes["messages"])

    world.lake.write("empty it", empty)
    world.list(*listed)
    world.put(*first, *(one for some in later for one in some))
    world.merge()
    assert outcome(world) == in_passes


def test_a_message_of_ours_makes_an_answer_of_what_came_within_30_s_after_it(world: World) -> None:
    known = remembering()
    texts = {"w0": ("Outbound", 0), "w20": ("Inbound", 20), "w100": ("Inbound", 100)}
    for name in ("w20", "w100"):
        direction, seconds = texts[name]
        world.put(
            message(messageId=name, direction=direction, creationTime=sent(at(seconds)), body=name)
        )
    world.put(message(messageId="far", creationTime=sent(at(-500)), body="far"))
    world.merge()
    looked_at = _pass(world, known, message(messageId="w0", creationTime=sent(at(0)), body="w0"))
    assert looked_at == 1
    found = {row["wamid"]: row["is_probable_auto_reply"] for row in world.rows("messages")}
    assert found == {"far": False, "w0": False, "w20": True, "w100": False}


def test_conversations_that_wait_for_another_reason_are_merged_as_a_whole(world: World) -> None:
    """Deliveries that a run typed and did not merge before it was killed are not new to a pass."""
    known = remembering()
    world.put(message(messageId="w0", body="a"), message(messageId="w9", status="Pending"))
    world.merge()
    _pass(world, known)  # what is remembered is read
    world.put(message(messageId="w1", creationTime=sent(at(50)), body="b"))
    type_all(world.lake)
    looked_at = _pass(world, known, message(messageId="w2", creationTime=sent(at(90)), body="c"))
    assert looked_at == 4
    assert [row["wamid"] for row in world.rows("messages")] == ["w0", "w1", "w2", "w9"]


def test_what_follows_from_users_too_is_merged_as_a_whole(world: World) -> None:
    known = remembering()
    world.put(message(messageId="w0", senderUserId="u-touched", body="a"), message(messageId="w1"))
    world.merge()
    _pass(world, known)
    user = "SELECT 'u-touched' AS user_id, true AS is_ai_agent"
    world.lake.write("put", lambda c: c.execute(f"INSERT INTO core.users BY NAME {user}"))
    _pass(world, known, message(messageId="w2", creationTime=sent(at(90)), body="c"))
    origins = {row["wamid"]: row["origin"] for row in world.rows("messages")}
    world.lake.write("take", lambda c: c.execute("DELETE FROM core.users"))
    assert origins["w0"] == "ai"
