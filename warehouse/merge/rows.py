"""What a transaction of the merge takes, and writing what differs.

It takes marked places with all that can interact with them. A place is where a message can be: its
conversation, or the delivery itself where that names none. What is merged at a time must hold all
that can interact. That is a conversation, as a rule; but an event id or message id that shows up in
two of them ties these together.

Temporary relations: ``chosen``, the places by ``key``; ``gathered_events`` and
``gathered_statuses``, the events and deliveries there, for the merge of messages; ``stored``, the
rows beside which the computed ones, ``merged_rows``, are written where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from warehouse.lake import invalidation, known_ids, staging
from warehouse.lake.known_ids import IdSet
from warehouse.lake.sql import MOST_SHARED, among, exists, scalar
from warehouse.merge import compute, touched
from warehouse.merge.ties import PLACES, Ties, find_ties, remember, tied_places
from warehouse.models.model import Model
from warehouse.webhooks import deliveries

#: Keys that are looked at for one transaction.
AT_ONCE = 2_000
#: So many times what is chosen must be noted for all ties to be looked for.
_MANY_TIMES = 7


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the lake had come when a merge looked last, and the ties it found there."""

    snapshot: int | None = None
    ties: Ties | None = None

    def caught_up(self, connection: duckdb.DuckDBPyConnection) -> Seen:
        """Take in what others wrote since; the ties of before hold if that is nothing."""
        snapshot = deliveries.catch_up(connection, self.snapshot)
        return self if snapshot == self.snapshot else Seen(snapshot)


#: Rows that a transaction should not exceed by much.
_ROWS = 100_000
#: The same of each table where few columns are read; some 60 MB.
_ROWS_TOUCHABLE = 300_000
#: What messages are made of in core.timeline_events.
EVENT_COLUMNS = (
    "event_id, conversation_id, contact_id, channel_id, direction, occurred_at, status, "
    "error_code, failure_reason, is_ai, attachment_url, owner_user_id, ai_agent_id, body, "
    "latitude, longitude, deleted_at"
)


def choose(connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None) -> bool:
    """Take keys into ``chosen``, as many as hold a bounded number of rows, at least one.

    Those in ``single`` (`warehouse.merge.touched`) are not among others; how many rows these hold
    is found out by `_gather`, which reads few of them.
    """
    where, given = given_only(keys)
    others = f"{_marked(connection)} AND key NOT IN (SELECT key FROM single)"
    has_single = exists(connection, "FROM single")
    has_others = not has_single or exists(connection, others)
    if has_single and has_others:
        where += "AND key NOT IN (SELECT key FROM single) "
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS SELECT DISTINCT key "
        f"{_marked(connection)} {where}ORDER BY key LIMIT {AT_ONCE}",
        given,
    )
    number = scalar(connection, "SELECT count(*) FROM chosen")
    if number > 1 and has_others:
        _bound(connection)
    return bool(number)


def _bound(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave as many in ``chosen`` as hold a bounded number of rows, at least one."""
    of_chosen = narrowed(connection, "conversation_id", "chosen") or "false"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE chosen AS
        WITH rows AS (
            SELECT conversation_id AS key FROM core.timeline_events WHERE {of_chosen}
            UNION ALL
            SELECT conversation_id FROM core.message_statuses WHERE {of_chosen}
        ), sizes AS (SELECT key, count(*) AS size FROM rows GROUP BY key)
        SELECT key FROM chosen LEFT JOIN sizes USING (key)
        QUALIFY sum(coalesce(size, 1)) OVER (ORDER BY key) - coalesce(size, 1) < {_ROWS}
        """
    )


def _marked(connection: duckdb.DuckDBPyConnection) -> str:
    return f"FROM {staging.marks(connection)} WHERE consumer = 'merge' AND kind IN ({PLACES})"


def gather_with_ties(
    connection: duckdb.DuckDBPyConnection, ties: Ties | None
) -> tuple[Ties | None, bool]:
    """Fetch what is chosen and all it is tied to.

    Looking for all ties takes as long as looking for those of `_MANY_TIMES` parts of this size.

    Returns:
        The ties of the lake, if they are known; whether places were fetched as a whole, and not
        only what new deliveries touch of them.
    """
    is_whole = exists(connection, "FROM chosen WHERE key NOT IN (SELECT key FROM single)")
    if ties is None and is_whole and _is_much_noted(connection):
        ties = find_ties(connection)
    known = known_ids.of(connection)
    if ties is not None:
        around = ties.around(_chosen(connection))
        is_whole |= _widen(connection, around)
        _gather(connection, has_deliveries=is_whole, is_whole=is_whole)
    else:
        is_whole = _gather_by_search(connection, known.messages if known else None, is_whole)
    if known is not None:
        remember(connection, known.messages)
    return ties, is_whole


def _gather_by_search(
    connection: duckdb.DuckDBPyConnection, known: IdSet | None, is_whole: bool
) -> bool:
    """Fetch what is chosen, look for what that is tied to, and fetch that, too, as a whole."""
    marked = f"FROM {staging.marks(connection)} WHERE consumer = 'merge' AND kind = 'delivery'"
    has_deliveries = is_whole and exists(connection, marked)
    _gather(connection, has_deliveries=has_deliveries, is_whole=is_whole)
    while _widen(connection, tied_places(connection, known)):
        is_whole = True
        _gather(connection)
    return is_whole


def _is_much_noted(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether many times more is noted than was chosen."""
    of_others = f"{_marked(connection)} AND key NOT IN (SELECT key FROM single)"
    noted, chosen = connection.execute(
        f"SELECT (SELECT count(*) {of_others}), (SELECT count(*) FROM chosen)"
    ).fetchone() or (0, 0)
    return bool(noted >= _MANY_TIMES * chosen)


def _chosen(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {key for (key,) in connection.execute("SELECT key FROM chosen").fetchall()}


def _widen(connection: duckdb.DuckDBPyConnection, places: set[str]) -> bool:
    """Choose these places, too; return whether there were new ones among them."""
    more = sorted(places - _chosen(connection))
    if more:
        connection.execute("INSERT INTO chosen SELECT unnest(?)", [more])
    return bool(more)


def _gather(
    connection: duckdb.DuckDBPyConnection, *, has_deliveries: bool = True, is_whole: bool = True
) -> None:
    """Fetch the events and deliveries of the chosen places.

    Args:
        connection: inside a transaction.
        has_deliveries: whether a place may be a delivery: else the table is not read for those.
        is_whole: whether all of them; else those that new deliveries touch.
    """
    if is_whole:
        of_events = of_places = narrowed(connection, "conversation_id", "chosen") or "false"
    else:
        if not touched.read(connection, _ROWS_TOUCHABLE):
            _bound(connection)
            touched.read(connection)
        of_events, of_places = touched.find(connection)
    # By the one condition alone, see `among`.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE all_events AS "
        f"SELECT {EVENT_COLUMNS}, source FROM core.timeline_events WHERE {of_events}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_events AS "
        "SELECT * EXCLUDE (source) FROM all_events WHERE source = 'whatsapp'"
    )
    gathered = f"SELECT * FROM core.message_statuses WHERE {of_places}"
    if has_deliveries:
        gathered += (
            " UNION ALL SELECT * FROM core.message_statuses "
            "WHERE conversation_id IS NULL AND delivery_id IN (SELECT key FROM chosen)"
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE gathered AS {gathered}")
    compute.number_deliveries(connection)


def mark_left_behind(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark deliveries of a message that is gone, which were not among what was merged.

    They name the id of an event that is no message any more, and belong to another conversation,
    or to none: they are a message of their own again. Reads ``stored`` and ``merged_rows``
    (`warehouse.merge.rows`).
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE vanished AS "
        "SELECT message_key FROM stored EXCEPT "
        "SELECT message_key FROM merged_rows"
    )
    if not exists(connection, "FROM vanished"):
        return
    left = (
        "FROM core.message_statuses WHERE message_key IN (FROM vanished) "
        "AND seq NOT IN (SELECT seq FROM gathered_statuses)"
    )
    for kind, key, which in (
        ("conversation", "conversation_id", "conversation_id IS NOT NULL"),
        ("delivery", "delivery_id", "conversation_id IS NULL"),
    ):
        invalidation.mark(connection, "merge", kind, f"SELECT {key} AS key {left} AND {which}")


def given_only(keys: Sequence[str] | None) -> tuple[str, list[list[str]] | None]:
    """Return a condition that the column ``key`` is among `keys`, if any, and its parameters.

    It is no comparison that DuckLake would hand to its catalog, where a value could be refused.
    """
    return ("", None) if keys is None else ("AND list_contains(?, key) ", [list(keys)])


def narrowed(connection: duckdb.DuckDBPyConnection, column: str, chosen: str) -> str | None:
    """Return a condition: the column is a ``key`` of the temporary table `chosen`.

    It is to be the only one, see `among`. None = the table is empty.
    """
    if column == "conversation_id":
        return among(connection, column, "key", chosen, MOST_SHARED)
    return among(connection, column, "key", chosen)


def read_stored(
    connection: duckdb.DuckDBPyConnection, model: Model, *, column: str, strays: str
) -> None:
    """Make ``stored``: the rows that those in ``merged_rows`` stand for.

    Args:
        connection: inside a transaction.
        model: of the table; its grain is one column.
        column: `merged_rows` stands for the stored rows where it is a key of the table ``chosen``.
        strays: a SELECT of keys that it stands for, too, wherever they are stored.
    """
    columns = _listed(model)
    of_chosen = narrowed(connection, column, "chosen") or "false"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE stored AS "
        f"SELECT {columns} FROM {model.table} WHERE {of_chosen}"
    )
    add_strays(connection, model, strays)


def add_strays(connection: duckdb.DuckDBPyConnection, model: Model, strays: str) -> None:
    """Add to ``stored`` the rows of keys that are stored elsewhere; as of `read_stored`."""
    (key,) = model.grain
    # By the column alone, which is all that is decoded of the table; mostly there are none.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE elsewhere AS SELECT {key} AS key FROM {model.table} "
        f"WHERE {key} IN (SELECT {key} FROM merged_rows UNION ({strays}) "
        f"EXCEPT SELECT {key} FROM stored)"
    )
    if of_elsewhere := narrowed(connection, key, "elsewhere"):
        connection.execute(
            f"INSERT INTO stored SELECT {_listed(model)} FROM {model.table} WHERE {of_elsewhere}"
        )


def _listed(model: Model) -> str:
    return ", ".join(f'"{column.name}"' for column in model.columns)


def write_differences(connection: duckdb.DuckDBPyConnection, model: Model) -> int:
    """Bring the table from ``stored`` up to ``merged_rows``; mark for the marts what changed.

    Returns:
        How many rows came, went or changed.
    """
    (key,) = model.grain
    columns = _listed(model)
    differs = " OR ".join(
        f's."{column.name}" IS DISTINCT FROM f."{column.name}"' for column in model.columns
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE differing AS SELECT coalesce(s.{key}, f.{key}) AS key "
        f"FROM stored s FULL JOIN merged_rows f ON f.{key} = s.{key} WHERE {differs}"
    )
    changed = scalar(connection, "SELECT count(DISTINCT key) FROM differing")
    if not changed:
        return 0
    if exists(connection, "FROM stored"):
        connection.execute(f"DELETE FROM {model.table} WHERE {key} IN (FROM differing)")
    connection.execute(
        f"INSERT INTO {model.table} BY NAME SELECT {columns} FROM merged_rows "
        f"WHERE {key} IN (FROM differing)"
    )
    names = {column.name for column in model.columns}
    of_any = f"coalesce(conversation_id, '{invalidation.NO_CONVERSATION}')"
    marked = {
        kind: " UNION ALL ".join(
            f"SELECT {column} AS key FROM {rows} WHERE {key} IN (FROM differing)"
            for rows in ("stored", "merged_rows")
        )
        for kind, column, needed in (
            ("conversation", of_any, "conversation_id"),
            (invalidation.ACTIVITY, "contact_id", "contact_id"),
        )
        if needed in names
    }
    if marked:
        invalidation.mark_all(connection, "marts", marked)
    return changed
