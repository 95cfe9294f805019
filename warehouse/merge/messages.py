"""Messages, calls and IVR calls as one truth, from timelines and webhooks, in any order.

Every result is a function of the set of timeline events and deliveries that can interact,
computed by SQL (``models/merge`` decides what belongs together, ``models/core`` what its values
are). What is outdated is marked in ``ops.outdated``. A transaction takes some of these keys,
computes all that can interact with them, writes what differs and deletes the marks; so it may be
killed anywhere, run twice or beside another, and batches of any kind end in the same rows.

A merged row also follows from other things: which conversations a contact has, which users are AI
agents, and the SQL of this version. These are compared with what was merged last, and what they
made outdated is marked first (`warehouse.merge.followers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import duckdb

from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake import invalidation, schema, staging, statistics
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.lake.sql import (
    exists,
    forget_home_values,
    home_values,
    scalar,
)
from warehouse.merge import calls, followers, touched
from warehouse.merge.rows import (
    AT_ONCE,
    Seen,
    add_strays,
    choose,
    gather_with_ties,
    mark_left_behind,
    narrowed,
    read_stored,
    write_differences,
)
from warehouse.merge.ties import PLACES
from warehouse.models.model import merge_step, merged_models, model
from warehouse.records import rebuild
from warehouse.webhooks import deliveries, foreign

#: What each step merges: the table, and the kinds of its keys in ``ops.outdated``.
_KINDS = {
    "merge messages": ("core.messages", PLACES),
    "merge calls": ("core.calls", "'calls', 'call'"),
    "merge IVR calls": ("core.ivr_calls", "'ivr'"),
}
#: Merges some of what is marked, of `Seen` and a connection: the keys given, else the next. It
#: returns how many rows changed, None where nothing was marked.
MergeSome = Callable[..., tuple[int | None, Seen]]
#: Repeats that until nothing is marked; returns how many rows changed.
UntilDone = Callable[[str, MergeSome, Seen], tuple[int, Seen]]
#: Events and deliveries whose values are computed at once.
_ROWS_OF_VALUES = 20_000


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
    with lake.reading() as connection:
        values = home_values(connection)
    rebuild.bring_up_to_date(lake, values)
    foreign.set_aside(lake, values)
    if not lake.write("mark what follows from other tables", _mark_outdated):
        return merge_all(lake)
    return _merge(deliveries.type_all(lake), partial(_write_until_done, lake))


def _mark_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Mark what other tables made outdated; return False where that is everything."""
    values = home_values(connection)
    if values.get("merge") != followers.fingerprint() and _is_anything_merged(connection):
        return False
    _mark(connection, values)
    return True


def _mark(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    followers.remember_version(connection, values)
    followers.mark(connection, values.get("ai_users"))


def merge_all(lake: Lake) -> Merged:
    """Make the merged tables again from timelines and deliveries.

    One transaction, and the old rows are not read: readers see these until the new ones are there,
    and a table with a lost file is made whole. Where a value is refused in it, the old rows are
    replaced place by place instead, and the refused place is set aside.

    Raises:
        WarehouseError: DuckDB failed; the old rows stay.
    """
    lake.require_own_transactions()
    merged = _try_to_merge_everything(lake)
    if merged is None and deliveries.set_aside(lake, everything=True):
        merged = _try_to_merge_everything(lake)
    if merged is not None:
        lake.write("describe empty tables", statistics.initialize)
        return merged
    typed = lake.write("type all deliveries", _type_everything)
    return _merge(typed, partial(_write_until_done, lake))


def _try_to_merge_everything(lake: Lake) -> Merged | None:
    """Make the merged tables again in one transaction; None where a value is refused."""
    with suppress(ValueRefused):
        return lake.write("merge everything", _merge_everything)
    return None


def _merge_everything(connection: duckdb.DuckDBPyConnection) -> Merged:
    for table in merged_models():
        schema.make_again(connection, table)  # TRUNCATE would read the old rows
    connection.execute(f"DELETE FROM {staging.marks(connection)} WHERE consumer = 'merge'")
    return _merge(_type_and_mark(connection), partial(_repeat_until_done, connection))


def _type_everything(connection: duckdb.DuckDBPyConnection) -> int:
    """Type all deliveries again and mark all that is, or was, merged; return how many they are."""
    for table in merged_models():
        if "raw.webhook_events" in table.made_of:
            schema.make_again(connection, table)
    for kind, keys in (
        ("conversation", "SELECT conversation_id AS key FROM core.messages"),
        ("calls", "SELECT conversation_id AS key FROM core.calls"),
        ("call", "SELECT call_key AS key FROM core.calls WHERE conversation_id IS NULL"),
    ):
        invalidation.mark(connection, "merge", kind, keys)
    return _type_and_mark(connection)


def _type_and_mark(connection: duckdb.DuckDBPyConnection) -> int:
    typed = 0
    while more := deliveries.type_new(connection):
        typed += more
    events = "SELECT conversation_id AS key FROM core.timeline_events"
    invalidation.mark(connection, "merge", "conversation", events)
    _mark(connection, home_values(connection))
    # Conversations that lost their rows are in no merged table any more: all marts follow.
    forget_home_values(connection, "marts")
    return typed


def _merge(typed: int, until_done: UntilDone) -> Merged:
    """Merge messages, calls and IVR calls, in this order: the first note calls for the second."""
    messages, seen = until_done("merge messages", _merge_some, Seen(deliveries.TYPED))
    merged_calls, seen = until_done("merge calls", calls.merge_some, seen)
    ivr_calls, _ = until_done("merge IVR calls", calls.merge_some_ivr, seen)
    return Merged(typed, messages, merged_calls, ivr_calls)


def _write_until_done(
    lake: Lake, purpose: str, merge_some: MergeSome, seen: Seen
) -> tuple[int, Seen]:
    """Repeat, each time in a transaction of its own."""
    total = 0
    while _is_marked(lake, purpose):
        try:
            changed, seen = lake.write(purpose, partial(merge_some, seen))
        except ValueRefused:
            changed, seen = _isolate(lake, purpose, merge_some), Seen()
        total += changed or 0
    return total, seen


def _is_marked(lake: Lake, purpose: str) -> bool:
    """Return whether a step has anything to do, which costs less than a transaction to find out."""
    kinds = _KINDS[purpose][1]
    with lake.reading() as connection:
        marks = staging.marks(connection)
        return exists(connection, f"FROM {marks} WHERE consumer = 'merge' AND kind IN ({kinds})")


def _isolate(lake: Lake, purpose: str, merge_some: MergeSome) -> int:
    """Merge the next keys, after DuckDB refused one, and set aside what it refuses."""
    table, kinds = _KINDS[purpose]
    lake.write("mark conversations as a whole", _mark_conversations)
    with lake.reading() as connection:
        marked = connection.execute(
            f"SELECT DISTINCT kind, key FROM {staging.marks(connection)} WHERE consumer = 'merge' "
            f"AND kind IN ({kinds}) ORDER BY key LIMIT {AT_ONCE}"
        ).fetchall()

    def attempt(part: Sequence[tuple[str, str]]) -> int:
        keys = [key for _, key in part]
        changed, _ = lake.write(purpose, lambda c: merge_some(Seen(), c, keys))
        return changed or 0

    done, refused = isolate(marked, attempt)
    if refused:
        lake.write("set keys aside", lambda c: rejects.store_keys(c, "merge", table, refused))
    return sum(done)


def _mark_conversations(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark conversations in place of their messages alone: what is refused is set aside once."""
    marks = staging.marks(connection)
    messages = f"FROM {marks} WHERE consumer = 'merge' AND kind = 'messages'"
    invalidation.mark(connection, "merge", "conversation", f"SELECT key {messages}")
    connection.execute(f"DELETE {messages}")


def _repeat_until_done(
    connection: duckdb.DuckDBPyConnection, _: str, merge_some: MergeSome, seen: Seen
) -> tuple[int, Seen]:
    """Repeat inside the transaction under way."""
    total = 0
    while True:
        changed, seen = merge_some(seen, connection)
        if changed is None:
            return total, seen
        total += changed


def _merge_some(
    seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
) -> tuple[int | None, Seen]:
    """Merge the messages of some places; None = nothing was outdated."""
    seen = seen.caught_up(connection)
    touched.find_single(connection)
    if not choose(connection, keys):
        return None, seen
    ties, is_whole = gather_with_ties(connection, seen.ties)
    _find_keys(connection)
    _note_calls(connection)
    _find_values(connection)
    _read_stored(connection, is_whole=is_whole)
    connection.execute(
        "UPDATE merged_rows SET is_probable_auto_reply = true "
        f"WHERE message_key IN ({merge_step('auto_replies')})"
    )
    changed = write_differences(connection, model("core.messages"))
    connection.execute(
        f"DELETE FROM {staging.marks(connection)} WHERE consumer = 'merge' "
        f"AND kind IN ({PLACES}) AND key IN (SELECT key FROM chosen)"
    )
    if changed:
        mark_left_behind(connection)
    return changed, Seen(seen.snapshot, ties)


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


def _read_stored(connection: duckdb.DuckDBPyConnection, *, is_whole: bool) -> None:
    """Make ``stored``; where conversations are not whole, their neighbors are merged rows, too."""
    strays = "SELECT unnest([message_key, stored_key]) FROM gathered_statuses"
    messages = model("core.messages")
    if is_whole:
        read_stored(connection, messages, column="conversation_id", strays=strays)
        return
    touched.read_stored(connection, messages, strays)
    add_strays(connection, messages, strays)


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
    """Hand on the conversations whose calls must be merged, too: those with another timeline."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE with_other_timeline AS "
        f"SELECT DISTINCT key FROM {staging.marks(connection)} WHERE consumer = 'merge' "
        "AND kind = 'conversation' AND key IN (SELECT key FROM chosen)"
    )
    where = narrowed(connection, "conversation_id", "with_other_timeline")
    if where is None:
        return
    invalidation.mark(
        connection,
        "merge",
        "calls",
        f"SELECT conversation_id AS key FROM core.timeline_events WHERE source = 'call' AND {where}"
        f" UNION SELECT conversation_id FROM core.calls WHERE {where}",
    )


def _is_anything_merged(connection: duckdb.DuckDBPyConnection) -> bool:
    return any(exists(connection, f"FROM {model.table}") for model in merged_models())
