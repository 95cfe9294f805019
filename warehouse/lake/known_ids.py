"""Ids that are in the lake, as one process remembers them: a new one need not be looked for there.

To find out that an id is new takes a scan of all there are, a third of the work for a few
deliveries. A process that works them off again and again keeps a filter of the ids instead: it
holds no id that it does not find, and rarely finds one that it does not hold. Its size is fixed, so
that memory does not grow; with many more ids than it is made for, more are looked for in vain.

A filter holds what was there in one snapshot. Where another process has added rows to one of its
tables since, it is dropped. It is made again when searches have taken as long as that takes.

Inside `used`, those who work with a connection find them by `of`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import duckdb
import numpy as np
from numpy.typing import NDArray

from warehouse.lake import changes
from warehouse.lake.bloom import BloomFilter
from warehouse.lake.sql import scalar

#: Size of a filter, 32 MB, and bits of each id in it; of 10 million ids one in 3,000 is found that
#: is not there, of 2 million one in a million.
_BITS, _OF_EACH = 28, 4
#: So many ids are read at a time.
_BATCH = 100_000
#: How long a filter takes to make is not known at first: so many searches.
_SEARCHES = 15
#: Ids that are met in several places: more are no exception.
_MOST_SHARED = 10_000

_DIGESTS = "SELECT hash(id) AS digest FROM ({}) WHERE id IS NOT NULL"


@dataclass(slots=True)
class IdSet:
    """The ids that a SELECT yields, as of a snapshot.

    Attributes:
        ids: the SELECT; its column is ``id``.
        tables: that it reads, with their schemas.
        own: the one to which this process adds rows, calling `add` for their ids.
        shared: makes the set of ids that are met in several places, where that matters.
        cost: seconds of the processor that it took to read the ids; None = not known yet.
    """

    ids: str
    tables: frozenset[str]
    own: str
    shared: Callable[[duckdb.DuckDBPyConnection], set[str]] | None = None
    cost: float | None = None
    _filter: BloomFilter | None = None
    _shared: set[str] = field(default_factory=set)
    _spent: float = 0.0  # seconds that searches took since it was dropped

    @property
    def is_remembered(self) -> bool:
        """Whether the ids are there."""
        return self._filter is not None

    def may_hold(self, connection: duckdb.DuckDBPyConnection, ids: str) -> set[str] | None:
        """Return which ids of a SELECT must be looked for: others are certainly not there.

        None where nothing is remembered.
        """
        if self._filter is None:
            return None
        rows = connection.execute(f"SELECT DISTINCT id, hash(id) FROM ({ids}) WHERE id IS NOT NULL")
        pairs = rows.fetchall()
        found = self._filter.finds(np.array([digest for _, digest in pairs], np.uint64))
        return {one for (one, _), is_found in zip(pairs, found, strict=True) if is_found}

    def add(self, connection: duckdb.DuckDBPyConnection, ids: str) -> None:
        """Remember more ids; those of a transaction that is not kept do no harm."""
        if self._filter is not None:
            self._filter.add(_digests(connection, ids))

    def shared_among(self, connection: duckdb.DuckDBPyConnection, ids: str) -> set[str]:
        """Return which ids of a SELECT are met in several places."""
        if not self._shared:
            return set()
        rows = connection.execute(f"SELECT DISTINCT id FROM ({ids})").fetchall()
        return self._shared & {one for (one,) in rows}

    def share(self, ids: set[str]) -> None:
        """Remember that ids are met in several places."""
        self._shared |= ids
        if len(self._shared) > _MOST_SHARED:
            self.drop()
            self.cost = math.inf

    @contextmanager
    def search(self) -> Iterator[None]:
        """Count the time of a search that would not be needed if the ids were remembered."""
        began = time.process_time()
        yield
        if self._filter is None:
            took = time.process_time() - began
            self._spent += took
            if self.cost is None:
                self.cost = took * _SEARCHES

    def prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read all ids, if they are not remembered and it is worth that."""
        if self._filter is not None or self.cost is None or self._spent < self.cost:
            return
        began = time.process_time()
        found = BloomFilter(_BITS, _OF_EACH)
        rows = connection.execute(_DIGESTS.format(self.ids)).to_arrow_reader(_BATCH)
        for batch in rows:
            found.add(batch.column(0).to_numpy(zero_copy_only=False))
        self._filter = found
        self.share(self.shared(connection) if self.shared else set())
        self.cost = time.process_time() - began
        self._spent = 0.0

    def drop(self) -> None:
        """Remember nothing."""
        self._filter = None
        self._shared = set()


def _digests(connection: duckdb.DuckDBPyConnection, ids: str) -> NDArray[np.uint64]:
    rows = connection.execute(_DIGESTS.format(ids)).fetchall()
    return np.array([digest for (digest,) in rows], np.uint64)


class KnownIds:
    """What a process remembers from one transaction to the next.

    Args:
        deliveries: ids of the deliveries that are stored.
        messages: event ids and message ids, wherever they were met.
    """

    def __init__(self, deliveries: IdSet, messages: IdSet) -> None:
        self.deliveries = deliveries
        self.messages = messages
        #: ``seq`` of the deliveries that were typed in this transaction.
        self.typed: set[int] = set()
        #: The same of those that were received earlier than was known before it.
        self.received_earlier: set[int] = set()
        self._snapshot: int | None = None

    def prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read what is worth it, in a transaction of a reader."""
        self._catch_up(connection)
        for one in (self.deliveries, self.messages):
            one.prepare(connection)

    @contextmanager
    def used(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let those who work with a connection find them; inside a transaction.

        Once that is committed, `keep` is to be called.
        """
        self._catch_up(connection)
        self.typed, self.received_earlier = set(), set()
        _known[connection] = self
        try:
            yield
        finally:
            del _known[connection]

    def _catch_up(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop what others have changed since."""
        now, before = changes.snapshot_of(connection), self._snapshot
        if before != now:
            changed = None if before is None else _with_new_rows(connection, before)
            for one in (self.deliveries, self.messages):
                if changed is None or changed & one.tables:
                    one.drop()
        self._snapshot = now

    def keep(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note that the transaction was committed: what it added is known.

        Raises:
            duckdb.Error: the catalog cannot be read; nothing is remembered then.
        """
        before, self._snapshot = self._snapshot, None
        committed = scalar(connection, "SELECT id FROM wh.last_committed_snapshot()")
        now = changes.snapshot_of(connection)
        if before is not None and now > before:
            changed = _with_new_rows(connection, before)
            is_ours = now == committed == before + 1
            for one in (self.deliveries, self.messages):
                if not is_ours or changed is None or changed & one.tables - {one.own}:
                    one.drop()
        self._snapshot = now


def _with_new_rows(connection: duckdb.DuckDBPyConnection, snapshot: int) -> Set[str] | None:
    return changes.changed_since(connection, snapshot, but=changes.WITHOUT_NEW_ROWS)


_known: WeakKeyDictionary[duckdb.DuckDBPyConnection, KnownIds] = WeakKeyDictionary()


def of(connection: duckdb.DuckDBPyConnection) -> KnownIds | None:
    """Return what is remembered where a connection works; None where nothing is."""
    return _known.get(connection)
