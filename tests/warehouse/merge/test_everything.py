"""Everything merged again, in chunks as small as can be: the same rows as place by place."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.warehouse.merge.world import (
    RESULTS,
    Delivery,
    World,
    at,
    call,
    call_event,
    event,
    ivr,
    message,
    sent,
)
from warehouse.lake.sql import forget_home_values
from warehouse.merge import everything, messages, rows
from warehouse.merge.ties import components


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "_CHUNK", 4)
    monkeypatch.setattr(everything, "_PORTION", 15)


def _outcome(world: World) -> dict[str, Any]:
    return {
        table: world.rows(table, "SELECT * EXCLUDE (seq) FROM {}")
        if table == "message_statuses"
        else world.rows(table)
        for table in RESULTS
    }


def _random(dice: random.Random) -> tuple[list[Delivery], list[dict[str, Any]]]:
    """Deliveries and events of a few conversations, contacts and ids, which mix."""
    some = dice.choice
    ids = [None, "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    deliveries: list[Delivery] = [
        message(
            dice.randrange(9),
            conversationId=some([None, "v1", "v2", "v3", "v4", "v5", "v6"]),
            conversationEventId=some([None, f"e{some(ids)}"]),
            messageId=some([None, f"w{some(ids)}"]),
            channelId=some(["ch", "ch", "ch2"]),
            creationTime=sent(at(some([0, 1, 1.5, 60, 90]))),
            direction=some(["Inbound", "Outbound"]),
            status=some(["Pending", "Sent", "Read"]),
            body=some([None, "yes", "no"]),
        )
        for _ in range(25)
    ]
    deliveries += [
        call(
            dice.randrange(9),
            callId=f"C{some(ids)}",
            contactId=some([None, "k1", "k2", "k3"]),
            status=some([8, 0, 1, "Missed"]),
            creationTime=sent(at(some([0, 3, 60]))),
        )
        for _ in range(10)
    ]
    deliveries += [ivr(dice.randrange(9), id=f"I{some(ids)}") for _ in range(5)]
    events = [
        event(
            f"e{number}",
            conversation_id=some(["v1", "v2", "v3", "v4", "v5", "v6"]),
            occurred_at=at(some([0, 1, 60])),
            direction=some(["inbound", "outbound"]),
            body=some([None, "yes", "no"]),
        )
        for number in range(1, 9)
    ]
    events += [
        call_event(
            f"ce{number}",
            conversation_id=some(["v1", "v2", "v3"]),
            contact_id=some([None, "k1", "k2", "k3"]),
            source_id=some([None, "C1", "C2", "C3"]),
            occurred_at=at(some([0, 3, 60])),
        )
        for number in range(1, 6)
    ]
    return deliveries, events


@pytest.mark.parametrize(("seed", "at_once", "many_times"), [(0, 2, 0), (1, 2, 1_000), (2, 99, 7)])
def test_chunks_end_as_place_by_place(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int, at_once: int, many_times: int
) -> None:
    # Places are chosen two at a time, with all ties found before or looked for; or all at once.
    monkeypatch.setattr(rows, "AT_ONCE", at_once)
    monkeypatch.setattr(rows, "_MANY_TIMES", many_times)
    deliveries, events = _random(random.Random(seed))
    world.put(*deliveries)
    world.list(*events)
    world.merge()
    by_place = _outcome(world)
    assert all(by_place.values())

    done = world.merge_all()

    assert _outcome(world) == by_place
    assert done.messages == len(by_place["messages"])
    assert done.calls == len(by_place["calls"])
    assert done.ivr_calls == len(by_place["ivr_calls"])
    assert done.deliveries == len({one.delivery_id for one in deliveries})
    assert world.query("SELECT count(*) FROM ops.outdated WHERE consumer = 'merge'") == [(0,)]


def test_what_has_one_key_in_two_places_is_merged_place_by_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everything, "_CHUNK", 1)
    world.list(event("wamid:w", conversation_id="a"), event("e", conversation_id="c"))
    world.put(message(conversationId="b", messageId="w"))

    world.merge_all()

    found = world.rows("messages")
    assert sorted(row["message_key"] for row in found) == ["e", "wamid:w"]
    world.merge_all()
    assert world.rows("messages") == found


def test_a_first_merge_of_much_is_one_of_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_MUCH", 3)
    by_place: list[str] = []
    monkeypatch.setattr(
        messages, "_write_until_done", lambda _, purpose, *__: by_place.append(purpose)
    )
    world.lake.write("forget", lambda c: forget_home_values(c, "merge"))
    world.list(*(event(f"e{number}", conversation_id=f"v{number}") for number in range(5)))

    assert world.merge().messages == 5
    assert not by_place


def test_a_chain_of_ties_is_one_component() -> None:
    links = [[f"{number}", f"{number + 1}"] for number in range(20_000)]
    random.Random(1).shuffle(links)

    found = components([*links, ["a", "b"], ["c"]])

    assert len(found["0"]) == 20_001
    assert found["0"] is found["20000"]
    assert found["a"] == {"a", "b"}
    assert found["c"] == {"c"}
