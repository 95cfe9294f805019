"""Messages, calls and IVR calls made again from all events and deliveries, in time by their number.

What can interact is found for the whole lake first (`warehouse.merge.ties`), and all places are
dealt out into chunks. The lake is read a portion of chunks at a time, whatever its order, into
temporary tables of a connection of their own (`Lake.scratch`): there each chunk is computed, and
its rows are streamed into the transaction, which keeps no temporary table.

A place is where things are that interact: for messages the conversation, or the delivery itself
where that names none; for calls the contact, else the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from warehouse.lake import memory
from warehouse.lake.copying import copy_rows, registered
from warehouse.lake.sql import exists
from warehouse.merge import compute, ties
from warehouse.merge.rows import EVENT_COLUMNS
from warehouse.models.model import model

#: Rows of a chunk, which are computed at once, and of a portion, for which the lake is read.
_CHUNK, _PORTION = 100_000, 1_000_000
_LED = pa.schema({"place": pa.string(), "leader": pa.string()})


@dataclass(frozen=True, slots=True)
class _Merge:
    """How a table is made.

    Attributes:
        table: named with its schema.
        events: SELECTs of the events, with their ``place``; none where it is made of none.
        statuses: the same of the deliveries.
        sightings: a SELECT of each ``id`` by which things are one, and the ``place`` where it was
            met; None where no id can be met in two.
        compute: makes ``merged_rows`` of ``gathered_events`` and ``gathered``, the deliveries.
    """

    table: str
    events: Sequence[str]
    statuses: Sequence[str]
    sightings: str | None
    compute: Callable[[duckdb.DuckDBPyConnection], None]


def merge_messages(
    connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection
) -> int:
    """Fill core.messages, which is empty, and correct the keys in core.message_statuses.

    Args:
        connection: inside the transaction.
        scratch: for temporary tables; it need not see what the transaction wrote.

    Returns:
        How many rows there are now.
    """
    scratch.execute("CREATE OR REPLACE TEMP TABLE all_moved (seq BIGINT, message_key VARCHAR)")
    written = _fill(_MESSAGES, connection, scratch)
    if exists(scratch, "FROM all_moved"):
        copy_rows(
            scratch,
            "FROM all_moved",
            connection,
            "CREATE OR REPLACE TEMP TABLE moved AS FROM copied_rows",
        )
        connection.execute(compute.set_keys("core.message_statuses"))
    return written


def merge_calls(connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection) -> int:
    """Fill core.calls, which is empty; as `merge_messages`."""
    return _fill(_CALLS, connection, scratch)


def merge_ivr_calls(
    connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection
) -> int:
    """Fill core.ivr_calls, which is empty; as `merge_messages`."""
    return _fill(_IVR_CALLS, connection, scratch)


def _compute_messages(scratch: duckdb.DuckDBPyConnection) -> None:
    compute.number_deliveries(scratch)
    if compute.find_keys(scratch):
        scratch.execute("INSERT INTO all_moved FROM moved")
    compute.find_values(scratch)
    compute.mark_auto_replies(scratch)


def _compute_calls(scratch: duckdb.DuckDBPyConnection) -> None:
    compute.order_deliveries(scratch, "FROM gathered")
    compute.merge_calls(scratch)


def _compute_ivr_calls(scratch: duckdb.DuckDBPyConnection) -> None:
    compute.order_deliveries(scratch, "FROM gathered")
    compute.merge_ivr_calls(scratch)


_MESSAGES = _Merge(
    table="core.messages",
    events=(
        f"""
        SELECT conversation_id AS place, {EVENT_COLUMNS}
        FROM core.timeline_events WHERE source = 'whatsapp'
        """,
    ),
    # Apart: files are passed over by a column, not by an expression.
    statuses=(
        """
        SELECT conversation_id AS place, *
        FROM core.message_statuses WHERE conversation_id IS NOT NULL
        """,
        "SELECT delivery_id AS place, * FROM core.message_statuses WHERE conversation_id IS NULL",
    ),
    sightings=ties.SIGHTINGS,
    compute=_compute_messages,
)
_CALLS = _Merge(
    table="core.calls",
    events=(
        """
        SELECT coalesce(contact_id, identifier(source_id), event_id) AS place, *
        FROM core.timeline_events WHERE source = 'call'
        """,
    ),
    statuses=(
        """
        SELECT coalesce(contact_id, call_id) AS place, *
        FROM core.call_statuses WHERE call_id IS NOT NULL
        """,
    ),
    sightings="""
        SELECT
            coalesce(identifier(source_id), event_id) AS id,
            coalesce(contact_id, identifier(source_id), event_id) AS place
        FROM core.timeline_events WHERE source = 'call'
        UNION ALL
        SELECT call_id, coalesce(contact_id, call_id) FROM core.call_statuses
    """,
    compute=_compute_calls,
)
_IVR_CALLS = _Merge(
    table="core.ivr_calls",
    events=(),
    statuses=("SELECT ivr_id AS place, * FROM core.ivr_statuses WHERE ivr_id IS NOT NULL",),
    sightings=None,
    compute=_compute_ivr_calls,
)


def is_any_key_doubled(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether messages of several places came out with one key.

    Ids are told apart by what they are of, keys are not: an event whose id begins with ``wamid:``
    can have the key of a message id.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE doubled AS SELECT hash(message_key) AS hash "
        "FROM core.messages GROUP BY hash HAVING count(*) > 1"
    )
    # Keys that are counted up collide in DuckDB's hash.
    return exists(connection, "FROM doubled") and exists(
        connection,
        "FROM (SELECT message_key FROM core.messages WHERE hash(message_key) IN (FROM doubled) "
        "GROUP BY ALL HAVING count(*) > 1)",
    )


def _fill(
    merge: _Merge, connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection
) -> int:
    """Compute all rows of a table and insert them; return how many they are."""
    columns = ", ".join(f'"{column.name}"' for column in model(merge.table).columns)
    written = 0
    _deal_out(merge, connection, scratch)
    for portion in _portions(scratch):
        _read(merge, connection, scratch, portion)
        for chunk in portion:
            for name, relation, _ in _relations(merge):
                scratch.execute(
                    f"CREATE OR REPLACE TEMP TABLE {name} AS "
                    f"SELECT * EXCLUDE (chunk) FROM {relation} WHERE chunk = {chunk}"
                )
            merge.compute(scratch)
            written += copy_rows(
                scratch,
                f"SELECT {columns} FROM merged_rows",
                connection,
                f"INSERT INTO {merge.table} BY NAME FROM copied_rows",
            )
        memory.give_back()
    return written


def _relations(merge: _Merge) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield what a chunk is computed of, what of the portion it is taken from, and its SELECTs."""
    if merge.events:
        yield "gathered_events", "portion_events", merge.events
    yield "gathered", "portion_statuses", merge.statuses


def _deal_out(
    merge: _Merge, connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection
) -> None:
    """Make ``plan``: the ``chunk`` of each ``place``, and its ``size``, how many rows it has.

    What is tied has one chunk. A chunk has as many rows as it should, and one group more.
    """
    places = " UNION ALL ".join(
        f"SELECT place FROM ({select})" for select in (*merge.events, *merge.statuses)
    )
    copy_rows(
        connection,
        f"SELECT place, count(*) AS size FROM ({places}) GROUP BY place",
        scratch,
        "CREATE OR REPLACE TEMP TABLE sizes AS FROM copied_rows",
    )
    tied = ties.find_ties(connection, merge.sightings).with_place if merge.sightings else {}
    leaders = {place: min(group) for place, group in tied.items()}
    led = pa.table({"place": [*leaders], "leader": [*leaders.values()]}, _LED)
    with registered(scratch, "leaders", led):
        scratch.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE plan AS
            WITH led AS (
                SELECT place, size, coalesce(leader, place) AS leader
                FROM sizes LEFT JOIN leaders USING (place)
            ), grouped AS (
                SELECT leader, sum(size) AS size FROM led GROUP BY leader
            ), dealt AS (
                SELECT leader, (sum(size) OVER (ORDER BY leader) - size) // {_CHUNK} AS chunk
                FROM grouped
            )
            SELECT place, size, chunk::BIGINT AS chunk FROM led JOIN dealt USING (leader)
            ORDER BY chunk
            """
        )
    scratch.execute("DROP TABLE sizes")


def _portions(scratch: duckdb.DuckDBPyConnection) -> list[list[int]]:
    """Return the chunks of each portion."""
    portions: list[list[int]] = []
    left = 0
    chunks = scratch.execute("SELECT chunk, sum(size) FROM plan GROUP BY chunk ORDER BY chunk")
    for chunk, size in chunks.fetchall():
        if not portions or left < size:
            portions.append([])
            left = _PORTION
        portions[-1].append(chunk)
        left -= size
    return portions


def _read(
    merge: _Merge,
    connection: duckdb.DuckDBPyConnection,
    scratch: duckdb.DuckDBPyConnection,
    portion: Sequence[int],
) -> None:
    """Make the portion's relations: its events and deliveries, by chunk."""
    places = scratch.execute(
        f"SELECT place, chunk FROM plan WHERE chunk BETWEEN {portion[0]} AND {portion[-1]}"
    )
    with registered(connection, "places", places.to_arrow_table()):
        for _, relation, selects in _relations(merge):
            rows = " UNION ALL ".join(
                f"SELECT chunk, one.* EXCLUDE (place) FROM ({select}) one JOIN places USING (place)"
                for select in selects
            )
            copy_rows(
                connection,
                rows,
                scratch,
                f"CREATE OR REPLACE TEMP TABLE {relation} AS FROM copied_rows ORDER BY chunk",
            )
