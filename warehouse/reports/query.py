"""Reading SQL for people and programs: one statement, never a write, never in a sync's way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa

from hatif.errors import HatifError
from warehouse.errors import QueryRefused
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_EXPLAIN = re.compile(r"\s*explain\b(\s+analyze\b)?(\s*\([^)]*\))?", re.IGNORECASE)
# Functions that change the lake from inside a SELECT; a read-only catalog does not stop them all.
_CHANGING = re.compile(
    r"(\bducklake_|\bwh\"?\s*\.\s*\"?)(?!snapshots|table_info|table_insertions|table_deletions"
    r"|table_changes|list_files|options|settings|current_snapshot|last_committed_snapshot)"
    r"\w+\"?\s*\(",
    re.IGNORECASE,
)
_BATCH = 2_000
_PATH = "SET search_path = 'wh.marts,wh.core,wh.ops,wh.raw,memory.main'"


class Query:
    """The rows of one statement, a batch at a time; use as a context manager.

    Args:
        settings: where the lake is.
        sql: one SELECT, EXPLAIN, DESCRIBE, SHOW, SUMMARIZE, VALUES or FROM.

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
            _check(self._connection, sql)
            answer = self._connection.execute(sql)
            kinds = [str(column[1]) for column in answer.description or ()]
            reader = answer.to_arrow_reader(_BATCH)
        except duckdb.Error as error:
            self._lake.close()
            raise QueryRefused(str(error).strip()) from None
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
            raise QueryRefused(str(error).strip()) from None

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


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise QueryRefused("the SQL is not valid UTF-8") from None
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryRefused("give exactly one SQL statement")
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN and (explain := _EXPLAIN.match(sql)):
        _check(connection, sql[explain.end() :])
    elif kind != duckdb.StatementType.SELECT or _CHANGING.search(sql):
        raise QueryRefused("only SQL that reads is accepted (SELECT, FROM, DESCRIBE, SHOW, …)")
