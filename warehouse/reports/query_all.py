"""One statement asked of several workspaces in turn: its rows with a column ``workspace`` first.

Each answers for itself, as `warehouse.reports.query` would have it: aggregates, ORDER BY and LIMIT
are those of one workspace. One store is open at a time. A workspace that cannot answer is noted and
keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pyarrow as pa

from hatif.errors import HatifError
from warehouse.errors import QueryRefused
from warehouse.reports.query import Query
from warehouse.settings.workspaces import Workspaces

COLUMN = "workspace"


class QueryAll:
    """The rows of one statement in all workspaces; use as a context manager.

    Args:
        workspaces: in this order.
        sql: as of `Query`.

    Attributes:
        failed: why a workspace did not answer, or not to its end, by name.
        schema: that of the first that answers; without any fields where none does.
    """

    def __init__(self, workspaces: Workspaces, sql: str) -> None:
        self._workspaces = workspaces
        self._sql = sql
        self.failed: dict[str, HatifError | OSError] = {}
        self._left = iter(workspaces.names)
        self._open: tuple[str, Query] | None = self._next()
        self.schema: pa.Schema = pa.schema([])
        self.json_columns: frozenset[int] = frozenset()
        if self._open is not None:
            first = self._open[1]
            self.schema = pa.schema([pa.field(COLUMN, pa.string()), *first.schema])
            self.json_columns = frozenset(place + 1 for place in first.json_columns)

    @property
    def answered(self) -> bool:
        """Whether any workspace took the statement."""
        return bool(self.schema.names)

    @property
    def is_refused(self) -> bool:
        """Whether none took the statement, and one at least because of the statement itself."""
        refused = (isinstance(error, QueryRefused) for error in self.failed.values())
        return not self.answered and any(refused)

    def failures(self) -> Iterator[tuple[list[str], str]]:
        """Yield what went wrong in which workspaces, each thing once."""
        by_error: dict[str, list[str]] = {}
        for name, error in self.failed.items():
            by_error.setdefault(str(error), []).append(name)
        for text, names in by_error.items():
            yield names, text

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, workspace after workspace."""
        while self._open is not None:
            name, query = self._open
            try:
                for batch in query.batches():
                    yield self._with_name(name, batch)
            except (HatifError, OSError) as error:
                self.failed[name] = error
            self._close()
            self._open = self._next()

    def finish(self) -> None:
        """See whether the workspaces answer whose rows were not read."""
        while self._open is not None:
            self._close()
            self._open = self._next()

    def _next(self) -> tuple[str, Query] | None:
        """Open the next workspace that takes the statement; note those that do not."""
        for name in self._left:
            try:
                return name, Query(self._workspaces.settings(name), self._sql)
            except (HatifError, OSError) as error:
                self.failed[name] = error
        return None

    def _with_name(self, name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch with its workspace, as the first workspace's columns are.

        Raises:
            QueryRefused: this workspace's columns are others.
        """
        named = pa.repeat(pa.scalar(name, pa.string()), batch.num_rows)
        columns = [named, *batch.columns]
        try:
            if len(columns) != len(self.schema.names):
                raise QueryRefused("its columns are others than those of the first workspace")
            cast = [column.cast(one.type) for column, one in zip(columns, self.schema, strict=True)]
        except pa.ArrowException:
            raise QueryRefused("its columns have other types than those of the first") from None
        return pa.record_batch(cast, schema=self.schema)

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].__exit__(None, None, None)
            self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
