"""Where a message can be: its conversation, or the delivery itself where that names none.

What is merged at a time must hold all that can interact. That is a conversation, as a rule; but an
event id, message id or call id that shows up in two of them ties these together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

# Hashes keep the table of all ids small; what they find is looked at again by the ids themselves.
_SIGHTINGS = """
    SELECT hash(event_id, 1) AS id, conversation_id AS place FROM core.timeline_events
    WHERE source = 'whatsapp'
    UNION ALL
    SELECT hash(source_id, 3), conversation_id FROM core.timeline_events
    WHERE source = 'call' AND source_id IS NOT NULL
    UNION ALL
    SELECT hash(event_id, 1), coalesce(conversation_id, delivery_id) FROM core.message_statuses
    WHERE event_id IS NOT NULL
    UNION ALL
    SELECT hash(wamid, 2), coalesce(conversation_id, delivery_id) FROM core.message_statuses
    WHERE wamid IS NOT NULL
"""
_IN_SEVERAL_PLACES = f"""
    SELECT id FROM ({_SIGHTINGS}) GROUP BY id HAVING min(hash(place)) <> max(hash(place))
"""


@dataclass(frozen=True, slots=True)
class Ties:
    """Places that must be merged together.

    Attributes:
        seen: how far the lake had come when they were found.
        with_place: each tied place, with all it is tied to, itself included.
    """

    seen: tuple[object, ...]
    with_place: dict[str, frozenset[str]]

    def around(self, places: Iterable[str]) -> set[str]:
        """Return the places and all they are tied to."""
        found: set[str] = set()
        for place in places:
            found |= self.with_place.get(place, frozenset((place,)))
        return found


def current_ties(connection: duckdb.DuckDBPyConnection, last: Ties | None) -> Ties:
    """Return the ties as they are now; those found last, where nothing was added since."""
    seen = how_far(connection)
    if last is not None and last.seen == seen:
        return last
    by_id: dict[int, list[str]] = defaultdict(list)
    if ids := [number for (number,) in connection.execute(_IN_SEVERAL_PLACES).fetchall()]:
        sightings = connection.execute(
            f"SELECT DISTINCT id, place FROM ({_SIGHTINGS}) WHERE list_contains(?, id)", [ids]
        )
        for number, place in sightings.fetchall():
            by_id[number].append(place)
    return Ties(seen, _components(by_id.values()))


def how_far(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    """Return what changes whenever an event of a timeline or a delivery comes or changes."""
    return (
        connection.execute(
            "SELECT (SELECT coalesce(max(seq), 0) FROM raw.records WHERE stream = 'timelines'), "
            "max(seq), sum(epoch_us(received_at)) FROM raw.webhook_events"
        ).fetchone()
        or ()
    )


def _components(groups: Iterable[list[str]]) -> dict[str, frozenset[str]]:
    """Join groups that share a member."""
    component: dict[str, set[str]] = {}
    for group in groups:
        joined = set(group).union(*(component[place] for place in group if place in component))
        for place in joined:
            component[place] = joined
    return {place: frozenset(joined) for place, joined in component.items()}
