"""How a connection of DuckDB is closed whose catalog's database may be gone.

DuckDB rolls back what is open while it destroys a connection. Where the catalog is on a server
that is gone, or DuckDB has declared its database invalid after a fault of its own, that raises an
error in a destructor, which ends the process at once (tried: 1.5.5 with DuckLake 1.0). So it is
rolled back before; and a connection of a database that is invalid is never destroyed.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import duckdb


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a connection, or give it up."""
    with suppress(duckdb.Error):  # there is no transaction, or what was open is gone
        connection.rollback()
    if is_invalid(connection):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    else:
        connection.close()


def is_invalid(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB refuses everything from now on; only another process, or lake, can go on."""
    try:
        connection.execute("SELECT 1").fetchall()
    except (duckdb.FatalException, duckdb.InternalException):
        return True
    except duckdb.Error:
        return False
    return False
