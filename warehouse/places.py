"""Where a message can be: its conversation, or the delivery itself where that names none.

What is merged at a time must hold all that can interact. That is a conversation, as a rule; but an
event id, message id or call id that shows up in two of them ties these together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from warehouse import deliveries

# Digests keep the table of all ids small. DuckDB's own hash() is no digest: ids that are counted up
# collide in it.
_SIGHTINGS = """
    SELECT md5_number(event_id) AS id, conversation_id AS place FROM core.timeline_events
    WHERE source = 'whatsapp'
    UNION ALL
    SELECT md5_number(source_id), conversation_id FROM core.timeline_events
    WHERE source = 'call' AND source_id IS NOT NULL
    UNION ALL
    SELECT md5_number(event_id), coalesce(conversation_id, delivery_id) FROM core.message_statuses
    WHERE event_id IS NOT NULL
    UNION ALL
    SELECT md5_number(wamid), coalesce(conversation_id, delivery_id) FROM core.message_statuses
    WHERE wamid IS NOT NULL
"""
_IN_SEVERAL_PLACES = f"""
    CREATE OR REPLACE TEMP TABLE tied AS
    SELECT id FROM ({_SIGHTINGS})
    GROUP BY id HAVING min(md5_number(place)) <> max(md5_number(place))
"""


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


def find_ties(connection: duckdb.DuckDBPyConnection) -> Ties:
    """Return the ties as they are now, of the whole lake."""
    by_id: dict[int, list[str]] = defaultdict(list)
    connection.execute(_IN_SEVERAL_PLACES)
    if connection.execute("SELECT 1 FROM tied LIMIT 1").fetchone() is not None:
        sightings = connection.execute(
            f"SELECT DISTINCT id, place FROM ({_SIGHTINGS}) WHERE id IN (FROM tied)"
        )
        for number, place in sightings.fetchall():
            by_id[number].append(place)
    return Ties(_components(by_id.values()))


def _components(groups: Iterable[list[str]]) -> dict[str, frozenset[str]]:
    """Join groups that share a member."""
    component: dict[str, set[str]] = {}
    for group in groups:
        joined = set(group).union(*(component[place] for place in group if place in component))
        for place in joined:
            component[place] = joined
    return {place: frozenset(joined) for place, joined in component.items()}
