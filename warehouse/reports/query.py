"""Reading SQL for people and programs: one statement that only reads, beside any sync."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

import duckdb
import pyarrow as pa

from hatif.errors import HatifError
from warehouse.errors import QueryRefused
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import complete_words_of, store_refusal
from warehouse.lake.sql import names_phone_functions
from warehouse.reports import guard
from warehouse.settings.environment import Settings

_BATCH = 2_000
_PATH = "SET search_path = 'wh.marts,wh.core,wh.ops,wh.raw,memory.main'"

#: Types, or types inside others, whose values change or fail on their way into Arrow.
_UNKNOWN_TO_ARROW = re.compile(r"\b(?:TIME WITH TIME ZONE|BIT|UHUGEINT|BIGNUM|VARIANT)\b")


def _refusal(error: Exception) -> HatifError:
    """Return the error for a statement that failed: its own fault, or that of a server."""
    return store_refusal(error) or QueryRefused(complete_words_of(error))


def _in_words(sql: str, kinds: list[str]) -> str:
    """Return a statement that gives the same rows, with such columns as DuckDB writes them."""
    written = sql.encode()
    ends = (at for at, _ in duckdb.tokenize(sql) if written[at : at + 1] == b";")
    sql = written[: next(ends, None)].decode()
    columns = ", ".join(
        f"c{n}::VARCHAR" if _UNKNOWN_TO_ARROW.search(kind) else f"c{n}"
        for n, kind in enumerate(kinds)
    )
    return f"SELECT {columns} FROM (\n{sql}\n) t({', '.join(f'c{n}' for n in range(len(kinds)))})"


class Rows(Protocol):
    """Rows of an answer.

    Attributes:
        schema: names and types of their columns.
        json_columns: places of the columns that hold JSON, which Arrow takes for any text.
    """

    schema: pa.Schema
    json_columns: frozenset[int]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; memory does not grow with their number."""


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
            if names_phone_functions(sql):
                from warehouse.lake import functions

                functions.register(self._connection)
            self._connection.execute(_PATH)
            # A name that is no table must not be looked up among this program's variables.
            self._connection.execute("SET python_enable_replacements = false")
            sql = guard.checked(self._connection, sql)
            guard.shut(self._connection, self._lake.catalog)
            columns = self._run(sql)
            if any(_UNKNOWN_TO_ARROW.search(kind) for _, kind in columns):
                self._run(_in_words(sql, [kind for _, kind in columns]))
            reader = self._connection.to_arrow_reader(_BATCH)
        except duckdb.Error as error:
            self._lake.close()
            raise _refusal(error) from None
        except HatifError:
            self._lake.close()
            raise
        names = [name for name, _ in columns]
        self.schema: pa.Schema = pa.schema(
            [field.with_name(name) for field, name in zip(reader.schema, names, strict=True)]
        )
        self.json_columns = frozenset(n for n, (_, kind) in enumerate(columns) if kind == "JSON")
        self._reader = reader

    def _run(self, sql: str) -> list[tuple[str, str]]:
        """Run a statement; return the names and types of its columns."""
        answer = self._connection.execute(sql)
        return [(str(column[0]), str(column[1])) for column in answer.description or ()]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; memory does not grow with their number."""
        try:
            yield from self._reader
        except (duckdb.Error, pa.ArrowException) as error:
            raise _refusal(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lake.close()
