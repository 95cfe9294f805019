"""Rows handed from one connection of a DuckDB instance to another, which cannot see them yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa

from warehouse.lake.sql import scalar

#: Rows that are in memory on their way.
_ROWS = 2_048
#: How DuckDB tells what failed while another connection's rows were read, of whatever kind.
_FAILED = re.compile(r"get_next failed\(\): (?:\w+: )*(?P<kind>[A-Za-z ]+) Error: .*", re.DOTALL)
_CLASSES: dict[str, type[duckdb.Error]] = {
    name.removesuffix("Exception").lower(): kind
    for name, kind in vars(duckdb).items()
    if name.endswith("Exception")
}


def copy_rows(
    source: duckdb.DuckDBPyConnection,
    select: str,
    target: duckdb.DuckDBPyConnection,
    statement: str,
) -> int:
    """Run a statement that reads the rows of another connection's SELECT, as ``copied_rows``.

    They are streamed: memory does not grow with their number.

    Args:
        source: where the SELECT runs; not `target`.
        select: the SELECT.
        target: where the statement runs.
        statement: reads ``copied_rows``, once.

    Returns:
        The number that the statement yields: of rows it wrote.

    Raises:
        duckdb.Error: either was refused.
    """
    rows = source.execute(select).to_arrow_reader(_ROWS)
    try:
        with registered(target, "copied_rows", rows):
            return scalar(target, statement)
    except duckdb.InvalidInputException as error:
        raise _of_source(error) from error
    finally:
        rows.close()


@contextmanager
def registered(
    connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table | pa.RecordBatchReader
) -> Iterator[None]:
    """Let a connection's SQL read Arrow rows under a name meanwhile."""
    connection.register(name, rows)
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # what failed before is the error to be raised
            connection.unregister(name)


def _of_source(error: duckdb.Error) -> duckdb.Error:
    """Return the error as it would be raised where it arose: by its class it may pass, or not."""
    found = _FAILED.search(str(error))
    if found is None:
        return error
    kind = found["kind"].lower().replace(" ", "").removesuffix("context")
    return _CLASSES.get(kind, duckdb.InvalidInputException)(found[0])
