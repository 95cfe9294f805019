"""Where a message can be: its conversation, or the delivery itself where that names none.

What is merged at a time must hold all that can interact. That is a conversation, as a rule; but an
event id or message id that shows up in two of them ties these together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from warehouse.lake.sql import exists, scalar
from warehouse.webhooks import deliveries

# Every id, and the place where it was met.
_SIGHTINGS = """
    SELECT event_id AS id, conversation_id AS place FROM core.timeline_events
    WHERE source = 'whatsapp'
    UNION ALL
    SELECT event_id, conversation_id FROM core.message_statuses
    WHERE event_id IS NOT NULL AND conversation_id IS NOT NULL
    UNION ALL
    SELECT wamid, conversation_id FROM core.message_statuses
    WHERE wamid IS NOT NULL AND conversation_id IS NOT NULL
    UNION ALL
    SELECT unnest([event_id, wamid]), delivery_id FROM core.message_statuses
    WHERE conversation_id IS NULL
"""
#: Sightings that are compared at a time, which bounds memory.
_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Ties:
    """Places that must be merged together.

    Attributes:
        with_place: each tied place, with all it is tied to, itself included.
    """

    with_place: dict[str, frozenset[str]]

    def around(self, places: Iterable[str]) -> set[str]:
        """Return the places and all they are tied to."""
        found: set[str] = set()
        for place in places:
            found |= self.with_place.get(place, frozenset((place,)))
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the lake had come when a merge looked last, and the ties it found there."""

    snapshot: int | None = None
    ties: Ties | None = None

    def caught_up(self, connection: duckdb.DuckDBPyConnection) -> Seen:
        """Take in what others wrote since; the ties of before hold if that is nothing."""
        snapshot = deliveries.catch_up(connection, self.snapshot)
        return self if snapshot == self.snapshot else Seen(snapshot)


def tied_to(connection: duckdb.DuckDBPyConnection, ids: str) -> set[str]:
    """Return all places where ids were met; for few of them.

    Args:
        connection: to the lake.
        ids: a SELECT of these.
    """
    places = connection.execute(
        f"SELECT DISTINCT place FROM ({_SIGHTINGS}) WHERE id IN ({ids})"
    ).fetchall()
    return {place for (place,) in places}


def find_ties(connection: duckdb.DuckDBPyConnection) -> Ties:
    """Return the ties of the whole lake; for when much of it is merged."""
    parts = scalar(connection, f"SELECT count(*) FROM ({_SIGHTINGS})") // _AT_ONCE + 1
    by_id: dict[str, list[str]] = defaultdict(list)
    for part in range(parts):
        # Digests keep the table of ids small. DuckDB's own hash() is none: ids that are counted up
        # collide in it; it does for dealing out.
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE tied AS SELECT md5_number(id) AS digest "
            f"FROM ({_SIGHTINGS}) WHERE hash(id) % {parts} = {part} "
            "GROUP BY digest HAVING min(md5_number(place)) <> max(md5_number(place))"
        )
        if not exists(connection, "FROM tied"):
            continue
        found = connection.execute(
            f"SELECT DISTINCT id, place FROM ({_SIGHTINGS}) WHERE md5_number(id) IN (FROM tied)"
        )
        for name, place in found.fetchall():
            by_id[name].append(place)
    return Ties(_components(by_id.values()))


def _components(groups: Iterable[list[str]]) -> dict[str, frozenset[str]]:
    """Join groups that share a member."""
    component: dict[str, set[str]] = {}
    for group in groups:
        joined = set(group).union(*(component[place] for place in group if place in component))
        for place in joined:
            component[place] = joined
    return {place: frozenset(joined) for place, joined in component.items()}
