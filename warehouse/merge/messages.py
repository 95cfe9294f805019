"""Messages, calls and IVR calls as one truth, from timelines and webhooks, in any order.

Every result is a function of the set of timeline events and deliveries that can interact, computed
by SQL (``models/merge`` says what belongs together, ``models/core`` what its values are). What must
be computed again stands in ``ops.outdated``. A transaction takes some of these notes, computes all
that can interact with what they name, writes what differs and deletes them; so it may be killed
anywhere, run twice or beside another, and batches of any kind end in the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from warehouse.errors import ValueRefused
from warehouse.lake import home_values, invalidation, schema
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, scalar
from warehouse.merge import calls, triggers
from warehouse.merge.batches import AT_ONCE, UntilDone, repeat_until_done, write_until_done
from warehouse.merge.clusters import Seen, Ties, find_ties, tied_to
from warehouse.merge.write import given_only, narrowed, rows_of, write_differences
from warehouse.models.model import merge_step, merged_models, model
from warehouse.webhooks import deliveries, foreign

#: Rows that a transaction should not exceed by much.
_ROWS = 100_000
#: Events and deliveries whose values are computed at once.
_ROWS_OF_VALUES = 20_000
_IS_EDIT = "coalesce(message_type IN ('message_edited', 'message_deleted'), false)"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did.

    Attributes:
        deliveries: webhook deliveries typed for the first time.
        messages: rows of core.messages that came, went or changed.
        calls: the same of core.calls.
        ivr_calls: the same of core.ivr_calls.
    """

    deliveries: int = 0
    messages: int = 0
    calls: int = 0
    ivr_calls: int = 0


def merge(lake: Lake) -> Merged:
    """Bring all that is outdated up to the timelines and deliveries that are stored.

    Raises:
        WarehouseError: DuckDB refused; what was merged until then stays, the rest is still noted.
    """
    foreign.set_aside(lake)
    if not lake.write("mark what follows from other tables", _mark_outdated):
        return merge_all(lake)
    return _merge(deliveries.type_all(lake), partial(write_until_done, lake))


def _mark_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Mark what other tables made outdated; return False where that is everything."""
    if triggers.is_of_another_version(connection):
        return False
    _mark(connection)
    return True


def _mark(connection: duckdb.DuckDBPyConnection) -> None:
    triggers.mark(connection)
    triggers.remember_version(connection)


def merge_all(lake: Lake) -> Merged:
    """Make the merged tables again from timelines and deliveries.

    One transaction, and the old rows are not read: readers see these until the new ones are there,
    and a table with a lost file is made whole.

    Raises:
        WarehouseError: DuckDB refused; the old rows stay.
    """
    try:
        return lake.write("merge everything", _merge_everything)
    except ValueRefused:
        if not deliveries.set_aside(lake, everything=True):
            raise
        return lake.write("merge everything", _merge_everything)


def _merge_everything(connection: duckdb.DuckDBPyConnection) -> Merged:
    for table in merged_models():
        schema.make_again(connection, table)  # TRUNCATE would read the old rows
    connection.execute("DELETE FROM ops.outdated WHERE consumer = 'merge'")
    typed = 0
    while more := deliveries.type_new(connection):
        typed += more
    invalidation.mark(
        connection,
        "merge",
        "conversation",
        "SELECT conversation_id AS key FROM core.timeline_events",
    )
    _mark(connection)
    # Conversations that lost their rows are in no merged table any more: all marts follow.
    home_values.forget(connection, "marts")
    return _merge(typed, partial(repeat_until_done, connection))


def _merge(typed: int, until_done: UntilDone) -> Merged:
    """Merge messages, calls and IVR calls, in this order: the first note calls for the second."""
    messages, seen = until_done("merge messages", _merge_some, Seen())
    merged_calls, seen = until_done("merge calls", calls.merge_some, seen)
    ivr_calls, _ = until_done("merge IVR calls", calls.merge_some_ivr, seen)
    return Merged(typed, messages, merged_calls, ivr_calls)


def _merge_some(
    seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
) -> tuple[int | None, Seen]:
    """Merge the messages of some places; None = nothing was outdated."""
    seen = seen.caught_up(connection)
    if not _choose(connection, keys):
        return None, seen
    ties = _gather_with_ties(connection, seen.ties)
    _find_keys(connection)
    _note_calls(connection)
    _find_values(connection)
    strays = "SELECT unnest([message_key, stored_key]) FROM gathered_statuses"
    changed = write_differences(
        connection,
        model("core.messages"),
        column="conversation_id",
        strays=strays,
    )
    connection.execute(
        "DELETE FROM ops.outdated WHERE consumer = 'merge' "
        "AND kind IN ('conversation', 'delivery') AND key IN (SELECT key FROM chosen)"
    )
    return changed, Seen(seen.snapshot, ties)


def _choose(connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None) -> bool:
    """Take keys into ``chosen``, as many as hold a bounded number of rows, at least one."""
    where, given = given_only(keys)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS SELECT DISTINCT key FROM ops.outdated "
        f"WHERE consumer = 'merge' AND kind IN ('conversation', 'delivery') {where}"
        f"ORDER BY key LIMIT {AT_ONCE}",
        given,
    )
    of_chosen = narrowed(connection, "conversation_id", "chosen")
    if of_chosen is None:
        return False
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
    return True


def _gather_with_ties(connection: duckdb.DuckDBPyConnection, ties: Ties | None) -> Ties | None:
    """Fetch what is chosen and all it is tied to; return the ties of the lake, if they are known.

    Looking for all of them pays when more is noted than was chosen.
    """
    if ties is None and _is_more_noted(connection):
        ties = find_ties(connection)
    if ties is not None:
        _widen(connection, ties.around(_chosen(connection)))
        _gather(connection)
        return ties
    _gather(connection)
    ids = (
        "SELECT event_id FROM gathered_events "
        "UNION SELECT unnest([event_id, wamid]) FROM gathered_statuses"
    )
    while _widen(connection, tied_to(connection, ids)):
        _gather(connection)
    return None


def _is_more_noted(connection: duckdb.DuckDBPyConnection) -> bool:
    return exists(
        connection,
        "FROM ops.outdated WHERE consumer = 'merge' "
        "AND kind IN ('conversation', 'delivery') AND key NOT IN (SELECT key FROM chosen)",
    )


def _chosen(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {key for (key,) in connection.execute("SELECT key FROM chosen").fetchall()}


def _widen(connection: duckdb.DuckDBPyConnection, places: set[str]) -> bool:
    """Choose these places, too; tell whether there were new ones among them."""
    more = sorted(places - _chosen(connection))
    if more:
        connection.execute("INSERT INTO chosen SELECT unnest(?)", [more])
    return bool(more)


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Fetch the events and deliveries of the chosen places."""
    events = (
        "SELECT event_id, conversation_id, contact_id, channel_id, direction, occurred_at, status, "
        "error_code, failure_reason, is_ai, attachment_url, owner_user_id, ai_agent_id, body, "
        "latitude, longitude, deleted_at FROM core.timeline_events WHERE source = 'whatsapp'"
    )
    of_places = rows_of(connection, events, "conversation_id", "chosen")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE gathered_events AS {of_places}")
    deliveries_of = "SELECT * FROM core.message_statuses WHERE true"
    of_places = rows_of(connection, deliveries_of, "conversation_id", "chosen")
    loose = "conversation_id IS NULL AND delivery_id IN (SELECT key FROM chosen)"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered AS "
        f"{of_places} UNION ALL SELECT * FROM core.message_statuses WHERE {loose}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE shared_event_ids AS SELECT event_id FROM gathered "
        f"WHERE event_id IS NOT NULL AND NOT {_IS_EDIT} GROUP BY event_id HAVING "
        "min(wamid) <> max(wamid) OR min(conversation_id) <> max(conversation_id)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE gathered_statuses AS "
        "SELECT gathered.*, n, message_key AS stored_key, "
        f"{_IS_EDIT} AS is_edit, coalesce(event_id NOT IN (FROM shared_event_ids), true) "
        "AS is_event_id FROM gathered JOIN ("
        "SELECT seq, row_number() OVER (ORDER BY received_at, delivery_id) AS n FROM gathered"
        ") USING (seq)"
    )


def _find_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Say which message each delivery belongs to, here and in core.message_statuses."""
    _offer(connection)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {merge_step('message_keys')}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS SELECT seq, k.message_key "
        "FROM statuses s JOIN keys k USING (seq) "
        "WHERE s.message_key IS DISTINCT FROM k.message_key"
    )
    if not exists(connection, "FROM moved"):
        return
    for table in ("core.message_statuses", "gathered_statuses"):
        connection.execute(
            f"UPDATE {table} SET message_key = m.message_key FROM moved m WHERE {table}.seq = m.seq"
        )


def _find_values(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``merged_rows``, the messages; in slices, so that any conversation fits into memory."""
    rows = scalar(
        connection,
        "SELECT (SELECT count(*) FROM gathered_events) + (SELECT count(*) FROM gathered_statuses)",
    )
    slices = rows // _ROWS_OF_VALUES + 1
    table = model("core.messages")
    columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE merged_rows ({columns})")
    for number in range(slices):
        _offer(connection, f"WHERE hash({{}}) % {slices} = {number}")
        connection.execute(f"INSERT INTO merged_rows BY NAME {table.select}")
    connection.execute(
        "UPDATE merged_rows SET is_probable_auto_reply = true "
        f"WHERE message_key IN ({merge_step('auto_replies')})"
    )


def _offer(connection: duckdb.DuckDBPyConnection, where: str = "") -> None:
    """Make the relations ``timeline`` and ``statuses`` that the SQL reads."""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW timeline AS FROM gathered_events {where.format('event_id')}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW statuses AS "
        f"FROM gathered_statuses {where.format('message_key')}"
    )


def _note_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """Hand on the conversations whose calls must be merged, too."""
    where = narrowed(connection, "conversation_id", "chosen")
    invalidation.mark(
        connection,
        "merge",
        "calls",
        f"SELECT conversation_id AS key FROM core.timeline_events WHERE source = 'call' AND {where}"
        f" UNION SELECT conversation_id FROM core.calls WHERE {where}",
    )
