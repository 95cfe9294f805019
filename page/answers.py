"""Answers to questions, kept by the lake's snapshot: the same question is asked of the lake once.

An answer is the bytes that are sent. Those of one snapshot are kept in bounded memory, the ones
unused for longest go first. Equal questions that come at the same time wait for one statement.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import duckdb
import msgspec

from page.lake_reader import LakeReader
from warehouse.lake.catalog_state import State

#: Bytes of answers kept.
KEPT = 32 << 20
Work = Callable[[duckdb.DuckDBPyConnection, int], Any]


class Answers:
    """Asks the lake, or remembers.

    Args:
        reader: what reads the lake.
        kept: bytes of answers to keep.
    """

    def __init__(self, reader: LakeReader, kept: int = KEPT) -> None:
        self._reader = reader
        self._most = kept
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0
        self._waiting: dict[Hashable, Future[bytes]] = {}
        self._state: State | None = None
        self._snapshot = -1
        #: Statements' worth of questions that went to the lake.
        self.asked = 0

    def answer(self, question: Hashable, work: Work) -> bytes:
        """Return the answer as JSON; `work` finds it where it is not known.

        Args:
            question: equal for equal answers of one snapshot.
            work: called with a connection and the snapshot, in this thread.
        """
        state = self._reader.state()
        with self._lock:
            if state is not None and state == self._state:
                known = self._recall((self._snapshot, question))
                if known is not None:
                    return known
            waiting = self._waiting.get(question)
            if waiting is None:
                mine = self._waiting[question] = Future()
        if waiting is not None:
            return waiting.result()
        try:
            found = self._reader.read(
                lambda connection, snapshot: self._find(connection, snapshot, state, question, work)
            )
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(found)
        finally:
            with self._lock:
                del self._waiting[question]
        return found

    def _find(
        self,
        connection: duckdb.DuckDBPyConnection,
        snapshot: int,
        state: State | None,
        question: Hashable,
        work: Work,
    ) -> bytes:
        with self._lock:
            if snapshot != self._snapshot:
                self._known.clear()
                self._size, self._snapshot = 0, snapshot
            # The state was looked at before the snapshot: while it lasts, so does the snapshot.
            self._state = state
            known = self._recall((snapshot, question))
            if known is not None:
                return known
            self.asked += 1
        found = ENCODER.encode(work(connection, snapshot))
        with self._lock:
            if snapshot == self._snapshot:
                self._keep((snapshot, question), found)
        return found

    def _recall(self, key: Hashable) -> bytes | None:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    def _keep(self, key: Hashable, found: bytes) -> None:
        if len(found) > self._most or key in self._known:
            return
        self._known[key] = found
        self._size += len(found)
        while self._size > self._most:
            _, forgotten = self._known.popitem(last=False)
            self._size -= len(forgotten)


#: Decimals as numbers: they are shown, never added up in the browser.
ENCODER = msgspec.json.Encoder(decimal_format="number")
