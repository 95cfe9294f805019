"""Ids that a process remembers between transactions: what is merged with them, and without."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.warehouse.merge.conftest import empty
from tests.warehouse.merge.passes import make_pass, outcome, remembering
from tests.warehouse.merge.world import Delivery, World, at, event, message, sent
from warehouse.lake import known_ids
from warehouse.lake.compaction import Compaction
from warehouse.lake.known_ids import KnownIds
from warehouse.merge.ties import message_ids
from warehouse.webhooks.batch import delivery_ids

_STORIES, _PASSES = 50, 5


def _delivery(chance: random.Random, number: int) -> Delivery:
    """One of few ids, in one of few conversations or in none."""

    def of(*values: str | None) -> str | None:
        value = chance.choice(values)
        return None if value is None else f"{value}-{number}"

    return message(
        chance.randint(5, 60),
        creationTime=sent(at(chance.randint(0, 8))),
        conversationId=of("v", "x", None),
        conversationEventId=of("e1", "e2", None),
        messageId=of("w1", "w2", None),
        contactId=of("k"),
        messageType=chance.choice(("Text", "Text", "Text", "MessageEdited")),
        status=chance.choice(("Pending", "Sent", "Delivered", "Read")),
        body=chance.choice((None, "yes", "no")),
    )


def _listed(chance: random.Random, number: int) -> list[dict[str, Any]]:
    names = chance.sample(("e1", "e2", "t1"), chance.randint(0, 2))
    return [
        event(
            f"{name}-{number}",
            conversation_id=f"{chance.choice('vx')}-{number}",
            contact_id=f"k-{number}",
            occurred_at=at(chance.randint(0, 8)),
        )
        for name in names
    ]


@pytest.mark.parametrize("seed", range(2))
def test_passes_that_remember_ids_end_as_what_is_merged_at_once(world: World, seed: int) -> None:
    chance = random.Random(seed)
    stories = [[_delivery(chance, number) for _ in range(_PASSES)] for number in range(_STORIES)]
    listed = [row for number in range(_STORIES) for row in _listed(chance, number)]
    world.list(*listed)
    world.put(*(one for story in stories for one in story))
    world.merge()
    at_once = outcome(world)

    world.lake.write("empty it", empty)
    early = [row for row in listed if chance.random() < 0.5]
    world.list(*early)
    world.merge()
    known = remembering()
    for number in range(_PASSES):
        make_pass(world, known, *(story[number] for story in stories))
        assert known.messages.is_remembered
        if number == 2:  # as another process would
            world.list(*(row for row in listed if row not in early))
            known.messages.cost = 0.0  # they are read again at once
    world.merge()
    assert outcome(world) == at_once


def test_an_id_that_is_met_again_elsewhere_ties_both_places_later_too(world: World) -> None:
    known = remembering()
    world.put(message(conversationId="v1", conversationEventId="e", messageId="w", status="Sent"))
    world.merge()
    make_pass(
        world, known, message(6, conversationId="v2", conversationEventId="e2", messageId="o")
    )
    make_pass(
        world, known, message(7, conversationId="v2", conversationEventId=None, messageId="w")
    )
    for later, status in ((8, "Delivered"), (9, "Read")):
        make_pass(
            world,
            known,
            message(later, conversationId="v1", conversationEventId="e", status=status),
        )
    found = outcome(world)
    world.merge_all()
    assert found == outcome(world)


def test_what_others_change_is_forgotten_and_what_they_leave_alone_is_not(world: World) -> None:
    known = remembering()
    for number in range(2):
        make_pass(world, known, message(conversationEventId=f"e{number}"))
    assert (known.deliveries.is_remembered, known.messages.is_remembered) == (True, True)
    compaction = Compaction(world.lake, 1.0)
    compaction.tidy()  # moves rows, and adds none
    assert sum(compaction.counts.values()) > 0
    with world.lake.snapshot() as connection, known.used(connection):
        assert (known.deliveries.is_remembered, known.messages.is_remembered) == (True, True)

    world.list(event("t"))
    with world.lake.snapshot() as connection, known.used(connection):
        assert (known.deliveries.is_remembered, known.messages.is_remembered) == (True, False)
    world.put(message(conversationEventId="other"))
    with world.lake.snapshot() as connection, known.used(connection):
        assert (known.deliveries.is_remembered, known.messages.is_remembered) == (False, False)


def test_a_transaction_that_is_not_kept_leaves_nothing_wrong(world: World) -> None:
    known = remembering()
    make_pass(world, known, message(conversationEventId="e"))
    lost = message(conversationEventId="lost")
    with pytest.raises(ZeroDivisionError):
        make_pass(world, known, lost, ends=lambda: 1 // 0)
    make_pass(world, known, lost)
    assert {row["event_id"] for row in world.rows("messages")} == {"e", "lost"}


def test_ids_are_read_once_searches_have_taken_as_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_ids, "_SEARCHES", 2)
    known = KnownIds(delivery_ids(), message_ids())
    remembered = []
    for number in range(6):
        make_pass(world, known, message(conversationEventId=f"e{number}"))
        remembered.append(known.messages.is_remembered)
    assert (remembered[0], remembered[-1]) == (False, True)
