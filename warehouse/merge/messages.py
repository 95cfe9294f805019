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
from warehouse.lake import invalidation, memory, schema, staging, statistics
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.lake.sql import (
    exists,
    forget_home_values,
    home_values,
    scalar,
)
from warehouse.merge import calls, compute, everything, followers, touched
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
from warehouse.models.model import merged_models, model
from warehouse.records import rebuild
from warehouse.webhooks import deliveries, foreign

#: What each step merges: the table, and the kinds of its keys in ``ops.outdated``.
_KINDS = {
    "merge messages": ("core.messages", PLACES),
    "merge calls": ("core.calls", "'calls', 'call'"),
    "merge IVR calls": ("core.ivr_calls", "'ivr'"),
}
#: Merges some of what is marked, of `Seen` and a connection: the keys given, else the next. It
#: returns how many rows changed.
MergeSome = Callable[..., tuple[int, Seen]]
#: DuckDB's memory limit while everything is merged; the process needs some 300 MB beside it.
_MEMORY = "400MB"
#: So many marks of a first merge take less time all at once than place by place.
_MUCH = AT_ONCE


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
    return _merge(lake, deliveries.type_all(lake))


def _mark_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Mark what other tables made outdated; return False where that is everything, and much."""
    values = home_values(connection)
    if values.get("merge") != followers.fingerprint() and (
        _is_anything_merged(connection) or _is_much_marked(connection)
    ):
        return False
    _mark(connection, values)
    return True


def _mark(connection: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    followers.remember_version(connection, values)
    followers.mark(connection, values.get("ai_users"))


class _KeysDoubled(Exception):
    """Messages of several places came out with one key: the later is to replace the earlier."""


def merge_all(lake: Lake) -> Merged:
    """Make the merged tables again from timelines and deliveries.

    One transaction, and the old rows are not read: readers see these until the new ones are there,
    and a table with a lost file is made whole. Where a value is refused in it, or two places end in
    one key, the old rows are replaced place by place instead, and a refused place is set aside.

    Raises:
        WarehouseError: DuckDB failed; the old rows stay.
    """
    lake.require_own_transactions()
    try:
        merged = _try_to_merge_everything(lake)
        if merged is None and deliveries.set_aside(lake, everything=True):
            merged = _try_to_merge_everything(lake)
    except _KeysDoubled:
        merged = None
    if merged is not None:
        lake.write("describe empty tables", statistics.initialize)
        return merged
    typed = lake.write("type all deliveries", _type_everything)
    return _merge(lake, typed)


def _try_to_merge_everything(lake: Lake) -> Merged | None:
    """Make the merged tables again in one transaction; None where a value is refused."""
    with suppress(ValueRefused), lake.scratch() as scratch, memory.raised(scratch, _MEMORY):
        return lake.write("merge everything", partial(_merge_everything, scratch=scratch))
    return None


def _merge_everything(
    connection: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection
) -> Merged:
    for table in merged_models():
        schema.make_again(connection, table)  # TRUNCATE would read the old rows
    typed = deliveries.type_rest(connection, notes=False)
    messages = everything.merge_messages(connection, scratch)
    if everything.is_any_key_doubled(connection):
        raise _KeysDoubled
    merged_calls = everything.merge_calls(connection, scratch)
    ivr_calls = everything.merge_ivr_calls(connection, scratch)
    _mark(connection, home_values(connection))
    # All that is marked was merged a moment ago.
    connection.execute(f"DELETE FROM {staging.marks(connection)} WHERE consumer = 'merge'")
    _forget_marts(connection)
    return Merged(typed, messages, merged_calls, ivr_calls)


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
    typed = deliveries.type_rest(connection)
    events = "SELECT conversation_id AS key FROM core.timeline_events"
    invalidation.mark(connection, "merge", "conversation", events)
    _mark(connection, home_values(connection))
    _forget_marts(connection)
    return typed


def _forget_marts(connection: duckdb.DuckDBPyConnection) -> None:
    """Have all marts follow: conversations that lost their rows are in no merged table any more."""
    forget_home_values(connection, "marts")


def _merge(lake: Lake, typed: int) -> Merged:
    """Merge messages, calls and IVR calls, in this order: the first note calls for the second."""
    seen = Seen(deliveries.TYPED)
    messages, seen = _write_until_done(lake, "merge messages", _merge_some, seen)
    merged_calls, seen = _write_until_done(lake, "merge calls", calls.merge_some, seen)
    ivr_calls, _ = _write_until_done(lake, "merge IVR calls", calls.merge_some_ivr, seen)
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
        total += changed
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
        return changed

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


def _merge_some(
    seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
) -> tuple[int, Seen]:
    """Merge the messages of some places; return how many rows changed."""
    seen = seen.caught_up(connection)
    touched.find_single(connection)
    if not choose(connection, keys):
        return 0, seen
    ties, is_whole = gather_with_ties(connection, seen.ties)
    if compute.find_keys(connection):
        connection.execute(compute.set_keys("core.message_statuses"))
    _note_calls(connection)
    compute.find_values(connection)
    _read_stored(connection, is_whole=is_whole)
    compute.mark_auto_replies(connection)
    changed = write_differences(connection, model("core.messages"))
    connection.execute(
        f"DELETE FROM {staging.marks(connection)} WHERE consumer = 'merge' "
        f"AND kind IN ({PLACES}) AND key IN (SELECT key FROM chosen)"
    )
    if changed:
        mark_left_behind(connection)
    return changed, Seen(seen.snapshot, ties)


def _read_stored(connection: duckdb.DuckDBPyConnection, *, is_whole: bool) -> None:
    """Make ``stored``; where conversations are not whole, their neighbors are merged rows, too."""
    strays = "SELECT unnest([message_key, stored_key]) FROM gathered_statuses"
    messages = model("core.messages")
    if is_whole:
        read_stored(connection, messages, column="conversation_id", strays=strays)
        return
    touched.read_stored(connection, messages, strays)
    add_strays(connection, messages, strays)


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
        "SELECT conversation_id AS key FROM (SELECT conversation_id, source "
        f"FROM core.timeline_events WHERE {where} OFFSET 0) WHERE source = 'call' "
        f"UNION SELECT conversation_id FROM core.calls WHERE {where}",
    )


def _is_much_marked(connection: duckdb.DuckDBPyConnection) -> bool:
    marks = f"FROM {staging.marks(connection)} WHERE consumer = 'merge'"
    return scalar(connection, f"SELECT count(*) {marks}") > _MUCH


def _is_anything_merged(connection: duckdb.DuckDBPyConnection) -> bool:
    return any(exists(connection, f"FROM {model.table}") for model in merged_models())
