"""Reading SQL for people and programs: one statement that only reads, beside any sync."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from hatif.errors import HatifError
from warehouse.errors import QueryRefused
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import complete_words_of
from warehouse.reports import guard
from warehouse.settings.environment import Settings

_BATCH = 2_000
_PATH = "SET search_path = 'wh.marts,wh.core,wh.ops,wh.raw,memory.main'"


class Query:
    """The rows of one statement, a batch at a time; use as a context manager.

    Args:
        settings: where the lake is.
        sql: one SELECT, EXPLAIN, DESCRIBE, SHOW, SUMMARIZE, VALUES or FROM; see
            `warehouse.reports.guard`.

    Raises:
        QueryRefused: it is none of these, or DuckDB cannot run it.
        HomeError: there is no warehouse yet.
    """

    def __init__(self, settings: Settings, sql: str) -> None:
        self._lake = Lake(settings, read_only=True)
        try:
            self._connection = self._lake.reader()
            schema.require_current(self._connection, settings.home)
            self._connection.execute(_PATH)
            # A name that is no table must not be looked up among this program's variables.
            self._connection.execute("SET python_enable_replacements = false")
            sql = guard.checked(self._connection, sql)
            guard.shut(self._connection, self._lake.catalog)
            answer = self._connection.execute(sql)
            kinds = [str(column[1]) for column in answer.description or ()]
            reader = answer.to_arrow_reader(_BATCH)
        except duckdb.Error as error:
            self._lake.close()
            raise QueryRefused(complete_words_of(error)) from None
        except HatifError:
            self._lake.close()
            raise
        self.schema: pa.Schema = reader.schema
        #: Places of the columns that hold JSON, which Arrow takes for any text.
        self.json_columns = frozenset(n for n, kind in enumerate(kinds) if kind == "JSON")
        self._reader = reader

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; memory does not grow with their number."""
        try:
            yield from self._reader
        except (duckdb.Error, pa.ArrowException) as error:
            raise QueryRefused(complete_words_of(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._lake.close()
