"""Ties: places that must be merged together, since an id was met in several of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from warehouse.lake import known_ids
from warehouse.lake.known_ids import IdSet
from warehouse.lake.sql import exists

#: Kinds of places in ``ops.outdated``: conversations, by a change of their timelines, and by
#: deliveries about their messages, which leave its calls as they are; deliveries that name none.
PLACES = "'conversation', 'messages', 'delivery'"
#: Every id, and the place where it was met.
SIGHTINGS = """
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


def tied_to(connection: duckdb.DuckDBPyConnection, ids: str) -> set[str]:
    """Return all places where ids were met; for few of them.

    Args:
        connection: to the lake.
        ids: a SELECT of these.
    """
    places = connection.execute(
        f"SELECT DISTINCT place FROM ({SIGHTINGS}) WHERE id IN ({ids})"
    ).fetchall()
    return {place for (place,) in places}


def find_ties(connection: duckdb.DuckDBPyConnection, sightings: str = SIGHTINGS) -> Ties:
    """Return the ties of the whole lake; for when much of it is merged.

    Args:
        connection: to the lake.
        sightings: a SELECT of every ``id``, and the ``place`` where it was met.
    """
    by_id: dict[str, list[str]] = defaultdict(list)
    for name, place in _find_tied(connection, sightings):
        by_id[name].append(place)
    return Ties(components(by_id.values()))


def _find_tied(
    connection: duckdb.DuckDBPyConnection, sightings: str = SIGHTINGS
) -> Iterator[tuple[str, str]]:
    """Yield the ids that are met in several places, with each of these."""
    # Digests keep groups small, which DuckDB spills where they do not fit. Its own hash() is none:
    # ids that are counted up collide in it. Two that share a digest are told apart below.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE tied AS SELECT md5_number_lower(id) AS digest "
        f"FROM ({sightings}) WHERE id IS NOT NULL "
        "GROUP BY digest HAVING min(md5_number(place)) <> max(md5_number(place))"
    )
    if not exists(connection, "FROM tied"):
        return
    found = connection.execute(
        f"SELECT DISTINCT id, place FROM ({sightings}) WHERE md5_number_lower(id) IN (FROM tied)"
    )
    yield from found.fetchall()


def components(groups: Iterable[Sequence[str]]) -> dict[str, frozenset[str]]:
    """Return each member of groups with all it is joined to: by groups that share a member."""
    parent: dict[str, str] = {}

    def root(place: str) -> str:
        found = place
        while parent.setdefault(found, found) != found:
            found = parent[found]
        while parent[place] != found:
            parent[place], place = found, parent[place]
        return found

    for first, *others in groups:
        leader = root(first)
        for other in others:
            parent[root(other)] = leader
    members: dict[str, list[str]] = defaultdict(list)
    for place in list(parent):
        members[root(place)].append(place)
    joined = {one: frozenset(places) for one, places in members.items()}
    return {place: joined[root(place)] for place in parent}


# Of what is gathered: each id with its place, and whether its delivery was typed a moment ago.
_GATHERED_IDS = """
    SELECT event_id AS id, conversation_id AS place, false AS is_new FROM gathered_events
    UNION ALL
    SELECT unnest([event_id, wamid]), coalesce(conversation_id, delivery_id),
        seq IN (SELECT unnest({typed})) FROM gathered_statuses
"""


def message_ids() -> IdSet:
    """Return the set of all event ids and message ids, for a process that remembers them."""
    tables = frozenset(("core.timeline_events", "core.message_statuses"))
    return IdSet(
        f"SELECT id FROM ({SIGHTINGS})",
        tables,
        "core.message_statuses",
        lambda connection: {one for one, _ in _find_tied(connection)},
    )


def tied_places(connection: duckdb.DuckDBPyConnection, known: IdSet | None) -> set[str]:
    """Return all places where ids of what is gathered were met.

    An id that was there before this transaction, and in one place, needs no search, nor does a new
    one that is not among those that are remembered.
    """
    ids = f"SELECT id FROM ({_gathered_ids(connection)}) WHERE id IS NOT NULL"
    if known is None:
        return tied_to(connection, ids)
    new = f"{ids} AND is_new EXCEPT {ids} AND NOT is_new"
    wanted = known.may_hold(connection, new)
    if wanted is None:
        with known.search():
            return tied_to(connection, ids)
    wanted |= known.shared_among(connection, ids)
    if not wanted:
        return set()
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE wanted_ids AS SELECT unnest(?) AS id", [list(wanted)]
    )
    return tied_to(connection, "FROM wanted_ids")


def remember(connection: duckdb.DuckDBPyConnection, known: IdSet) -> None:
    """Add the ids of what is gathered, and which of them are met in several places."""
    gathered = _gathered_ids(connection)
    known.add(connection, f"SELECT id FROM ({gathered}) WHERE is_new")
    rows = connection.execute(
        f"SELECT id FROM ({gathered}) GROUP BY id HAVING min(place) <> max(place)"
    )
    known.share({one for (one,) in rows.fetchall() if one is not None})


def _gathered_ids(connection: duckdb.DuckDBPyConnection) -> str:
    known = known_ids.of(connection)
    return _GATHERED_IDS.format(typed=sorted(known.typed) if known else [])
