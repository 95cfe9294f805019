"""What a joined transaction keeps in memory: the marks of ``ops.outdated``, the values of the home.

A statement costs some 7 ms for each table of DuckLake that it touches, and a pass over a few
deliveries makes, reads and deletes the same marks some thirty times. Inside `staged` they are a
temporary table (`marks`), and the values a dictionary; what differs at its end is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary, WeakSet

import duckdb

_MARKS = "ops.outdated"
_STAGED = "temp.staged_marks"
#: So many marks are a backlog, for transactions that take a part of it each.
_MOST = 5_000
_staged: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()
_values: WeakKeyDictionary[duckdb.DuckDBPyConnection, dict[str, str]] = WeakKeyDictionary()


class NotJoined(Exception):
    """The work needs transactions of its own."""


def marks(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the table with the marks that a connection reads and writes."""
    return _STAGED if connection in _staged else _MARKS


def marks_before(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return the table with the marks as they were when they were staged; None outside of that."""
    return "temp.marks_before" if connection in _staged else None


def values(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the values of the home, by key; a copy."""
    known = _values.get(connection)
    if known is None:
        # All of the few rows: a condition costs the catalog more than they do.
        rows = connection.execute("SELECT key, value FROM ops.home WHERE value IS NOT NULL")
        known = {key: str(value) for key, value in rows.fetchall()}
        if connection in _staged:
            _values[connection] = known
    return dict(known)


def forget_values(connection: duckdb.DuckDBPyConnection) -> None:
    """Have the values of the home read anew, after they were written."""
    _values.pop(connection, None)


@contextmanager
def staged(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Keep marks and values in memory meanwhile; inside a transaction, which is to fail on errors.

    Raises:
        NotJoined: there are too many marks.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE marks_before AS "
        f"SELECT consumer, kind, key FROM {_MARKS} LIMIT {_MOST + 1}"
    )
    ((number,),) = connection.execute("SELECT count(*) FROM marks_before").fetchall()
    if number > _MOST:
        raise NotJoined
    connection.execute("CREATE OR REPLACE TEMP TABLE staged_marks AS FROM marks_before")
    _staged.add(connection)
    try:
        yield
    finally:
        _staged.discard(connection)
        forget_values(connection)
    _write_differences(connection)


def _write_differences(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the table of marks up to the temporary one; mostly nothing differs."""
    gone = "(FROM marks_before EXCEPT FROM staged_marks)"
    if connection.execute(f"SELECT 1 FROM {gone} LIMIT 1").fetchone():
        # Compared as one text, see `invalidation.mark_all`.
        text = "concat_ws(' ', consumer, kind, key)"
        connection.execute(f"DELETE FROM {_MARKS} WHERE {text} IN (SELECT {text} FROM {gone})")
    come = "(FROM staged_marks EXCEPT FROM marks_before)"
    if connection.execute(f"SELECT 1 FROM {come} LIMIT 1").fetchone():
        connection.execute(f"INSERT INTO {_MARKS} BY NAME FROM {come}")
