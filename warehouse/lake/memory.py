"""Memory: how much DuckDB may take, what its caches hold, and what is free given back."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

from warehouse.lake.sql import scalar

#: The limit in bytes once a transaction lacked memory; and what is added for each byte of the
#: catalog: rows that wait in it are read all at once (tried: 145 MB of these took 400 to move).
_MOST = 600_000_000
_FOR_CATALOG = 4


@contextmanager
def raised(connection: duckdb.DuckDBPyConnection, limit: str) -> Iterator[None]:
    """Raise DuckDB's memory limit meanwhile; its threads are put back afterwards, too.

    Args:
        connection: one of the DuckDB instance whose limit it is.
        limit: as DuckDB writes it; one that is higher already stays.
    """
    (before, threads, is_higher), *_ = connection.execute(
        "SELECT current_setting('memory_limit'), current_setting('threads'), "
        "parse_formatted_bytes(current_setting('memory_limit')) "
        f"> parse_formatted_bytes('{limit}')"
    ).fetchall()
    if not is_higher:
        connection.execute(f"SET memory_limit = '{limit}'")
    try:
        yield
    finally:
        if not is_higher:
            connection.execute(f"SET memory_limit = '{before}'")
        connection.execute(f"SET threads = {threads}")


def enlarge(connection: duckdb.DuckDBPyConnection, catalog_bytes: int) -> bool:
    """Raise the memory limit after a transaction that lacked memory; return whether it rose."""
    limit = _MOST + _FOR_CATALOG * catalog_bytes
    shown = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
    with connection.cursor() as cursor:  # whose search path does not lead to the lake
        if scalar(cursor, shown) >= limit - 1_000_000:  # it is shown rounded
            return False
        cursor.execute(f"SET memory_limit = '{limit} B'")
    return True


def cached_bytes(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many bytes DuckDB's caches of statistics take."""
    return scalar(
        connection, "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'OBJECT_CACHE'"
    )


def give_back() -> None:
    """Give back what the C library keeps of freed memory; nothing where it is not glibc.

    Long work of DuckDB frees and takes blocks of many sizes in turn, of which glibc keeps more and
    more: of a merge of 10 million messages 350 MB beyond what DuckDB counts as its own.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
