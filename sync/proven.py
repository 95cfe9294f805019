"""Checks of whole tables that passed: they hold as long as none of their tables changes.

What passed is kept with its snapshot in ``ops.home``. The same checks are not queried again while
no later snapshot changed one of their tables and all files of these are there in their full size;
once a day they are all the same. Where they take more than a few seconds, as in a large warehouse,
they are made again when a hundred times as long has passed, changes or not. A check that is made of
each table alone (`by_table`) is made again of those that changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

import duckdb
import msgspec
from xxhash import xxh3_128_hexdigest

from warehouse.lake import changes, schema
from warehouse.lake.connection import Lake
from warehouse.lake.sql import home_value, keep_home_values
from warehouse.records import versions

_LONGEST = 86_400.0  # seconds
#: Checks that take longer rest for a hundred times as long.
_SHORT = 2.0
_REST = 100

Numbers = Mapping[str, int | float]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that are made together.

    Attributes:
        name: unique.
        tables: that they read, with their schemas; no views.
        statements: what distinguishes their SQL from other versions'.
    """

    name: str
    tables: frozenset[str]
    statements: str


class Passed(msgspec.Struct, frozen=True):
    """When a group of checks passed last.

    Attributes:
        snapshot: that they read.
        at: in seconds since 1970.
        seconds: of the processor that they took.
        version: of the statements and tables.
        numbers: that each compared, in their order.
        newest: the largest ``seq`` of raw records, where a check looks at later ones only.
    """

    snapshot: int
    at: float
    seconds: float
    version: str
    numbers: Sequence[Numbers]
    newest: int = 0


def results(
    lake: Lake,
    group: Group,
    make: Callable[[duckdb.DuckDBPyConnection], tuple[list[Result], list[Numbers] | None]],
    passed: Callable[[Sequence[Numbers]], list[Result]],
) -> list[Result]:
    """Make a group of checks, or return what passed before, where that still holds.

    Args:
        lake: open for writing.
        group: which.
        make: makes them by what one snapshot holds; returns their results, and the numbers of
            each where all were made and passed, else None.
        passed: returns the results of checks that passed with such numbers.
    """
    version = xxh3_128_hexdigest(f"{schema.fingerprint()}{group.statements}".encode())
    key = f"passed {group.name}"
    with lake.snapshot() as connection:
        before = _before(connection, key, version)
        if before and _holds(connection, lake, before, group.tables):
            return passed(before.numbers)
        snapshot = changes.snapshot_of(connection)
        began = time.process_time()
        found, numbers = make(connection)
        seconds = time.process_time() - began
    if numbers is not None:
        text = msgspec.json.encode(
            Passed(snapshot, time.time(), seconds, version, numbers)
        ).decode()
        lake.write("note passed checks", lambda c: keep_home_values(c, {key: text}))
    return found


def by_table(
    lake: Lake,
    group: Group,
    make: Callable[[duckdb.DuckDBPyConnection, str, int | None], Numbers],
    is_passed: Callable[[Numbers], bool],
) -> dict[str, Numbers]:
    """Make one check of each of a group's tables, of those that changed since all passed.

    Args:
        lake: open for writing.
        group: which.
        make: makes the check of a table; given a ``seq``, it may look at what later records made
            of it alone.
        is_passed: whether a check with such numbers passed.

    Returns:
        The numbers of each table's check.
    """
    version = xxh3_128_hexdigest(f"{schema.fingerprint()}{group.statements}".encode())
    key, tables = f"passed {group.name}", sorted(group.tables)
    with lake.snapshot() as connection:
        before = _before(connection, key, version)
        if before is not None and not 0 <= time.time() - before.at < _LONGEST:
            before = None
        changed = None if before is None else _changed(connection, lake, before, group.tables)
        known = {} if before is None or changed is None else _known(before, tables, changed)
        if before is not None and changed is not None and not changed:
            return known
        snapshot, newest = changes.snapshot_of(connection), versions.newest(connection)
        since = None if before is None or changed is None else before.newest
        found = known | {
            table: make(connection, table, since) for table in tables if table not in known
        }
    if all(map(is_passed, found.values())):
        at = time.time() if since is None or before is None else before.at
        numbers = [found[table] for table in tables]
        text = msgspec.json.encode(Passed(snapshot, at, 0.0, version, numbers, newest)).decode()
        lake.write("note passed checks", lambda c: keep_home_values(c, {key: text}))
    return found


def _known(before: Passed, tables: Sequence[str], changed: Set[str]) -> dict[str, Numbers]:
    """Return the numbers that still hold, by table."""
    numbers = dict(zip(tables, before.numbers, strict=True))
    return {table: one for table, one in numbers.items() if table not in changed}


def _before(connection: duckdb.DuckDBPyConnection, key: str, version: str) -> Passed | None:
    """Return what passed before; None where another version kept it, maybe in another form."""
    kept = home_value(connection, key)
    if kept is None:
        return None
    try:
        before = msgspec.json.decode(kept, type=Passed)
    except msgspec.MsgspecError:
        return None
    return before if before.version == version else None


def _holds(
    connection: duckdb.DuckDBPyConnection, lake: Lake, before: Passed, tables: Set[str]
) -> bool:
    age = time.time() - before.at
    if not 0 <= age < _LONGEST:
        return False
    if before.seconds <= _SHORT or age >= _REST * before.seconds:
        return _changed(connection, lake, before, tables) == set()
    return changes.are_files_there(connection, lake.catalog.lake, tables)


def _changed(
    connection: duckdb.DuckDBPyConnection, lake: Lake, before: Passed, tables: Set[str]
) -> Set[str] | None:
    """Return which of the tables changed since; None where that is not known, or a file is lost."""
    changed = changes.changed_since(connection, before.snapshot)
    if changed is None or not changes.are_files_there(connection, lake.catalog.lake, tables):
        return None
    return changed & tables
