"""Passes of a process that remembers ids, as `hatif live` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.warehouse.merge.world import Delivery, World
from warehouse.lake.known_ids import KnownIds
from warehouse.merge.messages import merge
from warehouse.merge.ties import message_ids
from warehouse.webhooks.batch import delivery_ids


def remembering() -> KnownIds:
    """Ids that are read at the first opportunity."""
    known = KnownIds(delivery_ids(), message_ids())
    known.deliveries.cost = known.messages.cost = 0.0
    return known


def make_pass(
    world: World, known: KnownIds, *deliveries: Delivery, ends: Callable[[], object] = bool
) -> None:
    """Store deliveries and merge them in one transaction, as `sync.run.compute_joined` does."""
    with world.lake.snapshot() as connection:
        known.prepare(connection)
    with world.lake.joined("test") as connection, known.used(connection):
        world.put(*deliveries)
        merge(world.lake)
        ends()
    known.keep(connection)


def outcome(world: World) -> dict[str, list[dict[str, Any]]]:
    statuses = world.rows("message_statuses", "SELECT * EXCLUDE (seq) FROM {}")
    return {"statuses": statuses, "messages": world.rows("messages")}
