"""The merge in transactions: until nothing is marked, isolated where a value is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import duckdb

from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.merge.rows import AT_ONCE, Seen


class MergeSome(Protocol):
    """Merges some of what is marked: the keys given, else the next."""

    def __call__(
        self, seen: Seen, connection: duckdb.DuckDBPyConnection, keys: Sequence[str] | None = None
    ) -> tuple[int | None, Seen]:
        """Return how many rows changed, None where nothing was marked."""


#: What each step merges: the table, and the kinds of its keys in ``ops.outdated``.
_KINDS = {
    "merge messages": ("core.messages", "'conversation', 'delivery'"),
    "merge calls": ("core.calls", "'calls', 'call'"),
    "merge IVR calls": ("core.ivr_calls", "'ivr'"),
}
#: Repeats that until nothing is noted; returns how many rows changed.
UntilDone = Callable[[str, MergeSome, Seen], tuple[int, Seen]]


def write_until_done(
    lake: Lake, purpose: str, merge_some: MergeSome, seen: Seen
) -> tuple[int, Seen]:
    """Repeat, each time in a transaction of its own."""
    total = 0
    while True:
        try:
            changed, seen = lake.write(purpose, partial(merge_some, seen))
        except ValueRefused:
            changed, seen = _isolate(lake, purpose, merge_some), Seen()
        if changed is None:
            return total, seen
        total += changed


def _isolate(lake: Lake, purpose: str, merge_some: MergeSome) -> int:
    """Merge the next keys, after DuckDB refused one, and set aside what it refuses."""
    table, kinds = _KINDS[purpose]
    with lake.reading() as connection:
        marked = connection.execute(
            "SELECT DISTINCT kind, key FROM ops.outdated WHERE consumer = 'merge' "
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


def repeat_until_done(
    connection: duckdb.DuckDBPyConnection, _: str, merge_some: MergeSome, seen: Seen
) -> tuple[int, Seen]:
    """Repeat inside the transaction under way."""
    total = 0
    while True:
        changed, seen = merge_some(seen, connection)
        if changed is None:
            return total, seen
        total += changed
