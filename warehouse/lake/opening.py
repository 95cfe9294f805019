"""A connection of DuckDB made ready for a lake: its settings, our SQL functions, the catalog."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb

from warehouse.lake import ownership
from warehouse.lake.catalog import Catalog
from warehouse.lake.sql import literal
from warehouse.models import model

#: Tables are named with their schema; our SQL functions live in memory.main.
PATH = "SET search_path = 'wh.main,memory.main'"
_OPENINGS = 5


def prepare(connection: duckdb.DuckDBPyConnection, spilled: Path, *, read_only: bool) -> None:
    """Make settings and our SQL functions; readers have none to parse phone numbers.

    Args:
        connection: of its own.
        spilled: folder for what does not fit into memory.
        read_only: whether it is for readers.
    """
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB shows one in `python -c`, and the standard output belongs to the caller.
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET temp_directory = {literal(str(spilled))}")
    connection.execute(model.macros())
    if not read_only:
        # Here, since readers have no number to parse, and both packages take long to load.
        from warehouse.lake import functions

        functions.register(connection)


def attach(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    *,
    read_only: bool,
    copy: Path | None,
    inlined_rows: int | None,
) -> None:
    """Attach the lake as ``wh``; tried again where another process is at its catalog.

    Args:
        connection: prepared.
        catalog: of the lake.
        read_only: attach for reading.
        copy: of the catalog's file, to be read in its place.
        inlined_rows: as of `warehouse.lake.connection.Lake`.

    Raises:
        HomeError: the lake is not what the home says.
        duckdb.Error: it cannot be attached.
    """
    for attempt in range(_OPENINGS):
        try:
            catalog.attach(connection, read_only=read_only, copy=copy, inlined_rows=inlined_rows)
            ownership.require_lake(connection, catalog, read_only=read_only)
            connection.execute(PATH)
        except duckdb.Error:
            # Another process may be making the catalog, or mending it after a crash.
            if attempt + 1 == _OPENINGS:
                raise
            connection.execute("USE memory; DETACH DATABASE IF EXISTS wh")
            time.sleep(0.1 * 2**attempt)
        else:
            return
