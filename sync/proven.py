"""Checks of whole tables that passed: they hold as long as none of their tables changes.

What passed is kept with its snapshot in ``ops.home``. The same checks are not queried again while
no later snapshot changed one of their tables and all files of these are there in their full size;
once a day they are all the same. Where they take more than a few seconds, as in a large warehouse,
they are made again when a hundred times as long has passed, changes or not.
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

_LONGEST = 86_400.0  # seconds
#: Checks that take longer rest for a hundred times as long.
_SHORT = 5.0
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
        seconds: they took.
        version: of the statements and tables.
        numbers: that each compared, in their order.
    """

    snapshot: int
    at: float
    seconds: float
    version: str
    numbers: Sequence[Numbers]


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
        kept = home_value(connection, key)
        before = None if kept is None else _decode(kept)
        is_same = before is not None and before.version == version
        if before and is_same and _holds(connection, lake, before, group.tables):
            return passed(before.numbers)
        snapshot = changes.snapshot_of(connection)
        began = time.monotonic()
        found, numbers = make(connection)
        seconds = time.monotonic() - began
    if numbers is not None:
        text = msgspec.json.encode(
            Passed(snapshot, time.time(), seconds, version, numbers)
        ).decode()
        lake.write("note passed checks", lambda c: keep_home_values(c, {key: text}))
    return found


def _decode(kept: str) -> Passed | None:
    """Return what was kept; None where another version kept it in another form."""
    try:
        return msgspec.json.decode(kept, type=Passed)
    except msgspec.MsgspecError:
        return None


def _holds(
    connection: duckdb.DuckDBPyConnection, lake: Lake, before: Passed, tables: Set[str]
) -> bool:
    age = time.time() - before.at
    if not 0 <= age < _LONGEST:
        return False
    if before.seconds <= _SHORT or age >= _REST * before.seconds:
        changed = changes.changed_since(connection, before.snapshot)
        if changed is None or changed & tables:
            return False
    return changes.are_files_there(connection, lake.catalog.lake, tables)
