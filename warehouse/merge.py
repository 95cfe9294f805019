"""Messages, calls and IVR calls as one truth, from timelines and webhooks, in any order.

Every result is a function of the set of timeline events and deliveries that can interact, computed
by SQL (``models/merge`` says what belongs together, ``models/core`` what its values are). What must
be computed again stands in ``ops.outdated``. A transaction takes some of these notes, computes all
that can interact with what they name, writes what differs and deletes them; so it may be killed
anywhere, run twice or beside another, and batches of any kind end in the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from warehouse import deliveries, merge_calls, outdated
from warehouse.lake import Lake
from warehouse.models import model, step
from warehouse.places import Ties, current_ties
from warehouse.stored import narrowed, write_differences

#: Notes that are looked at for one transaction, and the rows it should not exceed by much.
_PLACES = 2_000
_ROWS = 60_000


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
    typed = deliveries.type_all(lake)
    lake.write("note calls that found a conversation", merge_calls.note_resolved)
    return Merged(
        deliveries=typed,
        messages=_merge_messages(lake),
        calls=_until_done(lake, "merge calls", merge_calls.merge_some),
        ivr_calls=_until_done(lake, "merge IVR calls", merge_calls.merge_some_ivr),
    )


def merge_all(lake: Lake) -> Merged:
    """Empty the merged tables and make them again from timelines and deliveries."""
    lake.write("empty the merged tables", forget)
    return merge(lake)


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Empty the merged tables and note everything; run inside a transaction."""
    for name in ("messages", "message_statuses", "calls", "call_statuses", "ivr_calls"):
        connection.execute(f"DELETE FROM core.{name}")
    connection.execute("DELETE FROM core.ivr_statuses")
    note_everything(connection)


def note_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every conversation that has a timeline; deliveries note themselves when typed."""
    everywhere = "SELECT conversation_id AS key FROM core.timeline_events"
    outdated.mark(connection, "merge", "conversation", everywhere)


def _until_done(
    lake: Lake, purpose: str, work: Callable[[duckdb.DuckDBPyConnection], int | None]
) -> int:
    """Repeat a transaction until it finds nothing to do; return how many rows changed."""
    total = 0
    while (changed := lake.write(purpose, work)) is not None:
        total += changed
    return total


def _merge_messages(lake: Lake) -> int:
    total = 0
    ties: Ties | None = None
    while True:
        known = ties

        def work(
            connection: duckdb.DuckDBPyConnection, known: Ties | None = known
        ) -> tuple[int, Ties | None]:
            return _merge_some(connection, known)

        changed, ties = lake.write("merge messages", work)
        if ties is None:
            return total
        total += changed


def _merge_some(
    connection: duckdb.DuckDBPyConnection, ties: Ties | None
) -> tuple[int, Ties | None]:
    """Merge the messages of some places; no ties in return = nothing was outdated."""
    deliveries.catch_up(connection)
    if not _choose(connection):
        return 0, None
    ties = current_ties(connection, ties)
    _widen(connection, ties)
    _gather(connection)
    _find_keys(connection)
    _note_calls(connection)
    messages = model("core.messages")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS {messages.select}")
    keys = "SELECT message_key FROM statuses UNION SELECT stored_key FROM statuses"
    changed = write_differences(
        connection, messages, where=narrowed("conversation_id", "chosen"), strays=keys
    )
    connection.execute(
        "DELETE FROM ops.outdated WHERE consumer = 'merge' "
        "AND kind IN ('conversation', 'delivery') AND key IN (SELECT key FROM chosen)"
    )
    return changed, ties


def _choose(connection: duckdb.DuckDBPyConnection) -> bool:
    """Take notes into ``chosen``, as many as hold a bounded number of rows, at least one."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen AS SELECT DISTINCT key FROM ops.outdated "
        "WHERE consumer = 'merge' AND kind IN ('conversation', 'delivery') "
        f"ORDER BY key LIMIT {_PLACES}"
    )
    where = narrowed("conversation_id", "chosen")(connection)
    if where is None:
        return False
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE chosen AS
        WITH rows AS (
            SELECT conversation_id AS key FROM core.timeline_events WHERE {where}
            UNION ALL
            SELECT conversation_id FROM core.message_statuses WHERE {where}
        ), sizes AS (SELECT key, count(*) AS size FROM rows GROUP BY key)
        SELECT key FROM chosen LEFT JOIN sizes USING (key)
        QUALIFY sum(coalesce(size, 1)) OVER (ORDER BY key) - coalesce(size, 1) < {_ROWS}
        """
    )
    return True


def _widen(connection: duckdb.DuckDBPyConnection, ties: Ties) -> None:
    """Add to the chosen places all they are tied to."""
    places = {key for (key,) in connection.execute("FROM chosen").fetchall()}
    if more := ties.around(places) - places:
        connection.execute("INSERT INTO chosen SELECT unnest(?)", [sorted(more)])


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the relations ``timeline`` and ``statuses`` that the SQL reads."""
    where = narrowed("conversation_id", "chosen")(connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE timeline AS SELECT event_id, conversation_id, contact_id, "
        "channel_id, direction, occurred_at, status, error_code, failure_reason, is_ai, "
        "attachment_url, owner_user_id, ai_agent_id, body, latitude, longitude, deleted_at "
        f"FROM core.timeline_events WHERE source = 'whatsapp' AND {where}"
    )
    loose = "conversation_id IS NULL AND delivery_id IN (SELECT key FROM chosen)"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE statuses AS SELECT *, message_key AS stored_key, "
        "coalesce(message_type IN ('message_edited', 'message_deleted'), false) AS is_edit, "
        "row_number() OVER (ORDER BY received_at, delivery_id) AS n "
        f"FROM (SELECT * FROM core.message_statuses WHERE {where} UNION ALL "
        f"SELECT * FROM core.message_statuses WHERE {loose})"
    )


def _find_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Say which message each delivery belongs to, here and in core.message_statuses."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {step('message_keys')}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS SELECT s.seq, k.message_key "
        "FROM statuses s JOIN keys k USING (delivery_id) "
        "WHERE s.message_key IS DISTINCT FROM k.message_key"
    )
    if connection.execute("SELECT 1 FROM moved LIMIT 1").fetchone() is None:
        return
    for table in ("core.message_statuses", "statuses"):
        connection.execute(
            f"UPDATE {table} SET message_key = m.message_key FROM moved m WHERE {table}.seq = m.seq"
        )


def _note_calls(connection: duckdb.DuckDBPyConnection) -> None:
    """Hand on the conversations whose calls must be merged, too."""
    where = narrowed("conversation_id", "chosen")(connection)
    outdated.mark(
        connection,
        "merge",
        "calls",
        f"SELECT conversation_id AS key FROM core.timeline_events WHERE source = 'call' AND {where}"
        f" UNION SELECT conversation_id FROM core.calls WHERE {where}",
    )
