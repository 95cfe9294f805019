"""How the marts follow core: only what changed is computed anew, and it equals a rebuild.

What changed is noted in ``ops.outdated``. It goes through three rounds, each in transactions that
delete the notes they work off and note what follows:

1. conversations: their sessions, turns and costs. Fingerprints (``ops.mart_days``) tell on which
   days, and for which contacts, anything looks different now;
2. these days: the daily marts;
3. these contacts: the marts about contacts.

A rebuild notes everything and goes the same way, as does a change of the SQL or of a setting that
matters. Where only the rate card changed, the same three rounds compute what depends on it and
nothing else. A run killed anywhere is resumed by the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake import invalidation
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.lake.sql import exists, scalar
from warehouse.marts import scopes, settings_tables
from warehouse.models.model import Model, models
from warehouse.settings.environment import Settings

#: DuckDB's memory limit meanwhile; the process needs some 300 MB beside it.
_MEMORY = "900MB"


@dataclass(slots=True)
class Refreshed:
    """What a refresh did to one mart.

    Attributes:
        written: rows computed and stored.
        seconds: it took.
    """

    written: int = 0
    seconds: float = 0.0


def refresh(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    """Bring every mart up to core; return what was done to each, by name.

    Raises:
        WarehouseError: DuckDB refused; what was committed before stays, and is right.
    """
    done = {model.name: Refreshed() for model in models("marts")}
    with _room(lake):
        lake.write(
            "see what is outdated", lambda connection: scopes.translate(connection, settings)
        )
        with lake.reading() as connection:
            more = _is_outdated(connection)
        if more:
            # They outlive the transaction: the lake's writing connection keeps them.
            lake.write(
                "read the settings",
                lambda connection: settings_tables.install(connection, settings),
            )
        while more:
            try:
                more, step = lake.write("compute marts", _advance)
            except ValueRefused:
                more, step = _isolate(lake)
            for name, one in step.items():
                done[name].written += one.written
                done[name].seconds += one.seconds
    return done


def rebuild(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    """Compute every mart from scratch; return what was done to each, by name.

    Raises:
        WarehouseError: DuckDB refused; what was committed before stays, and is right.
    """
    lake.write("note everything", scopes.invalidate_everything)
    return refresh(lake, settings)


@contextmanager
def _room(lake: Lake) -> Iterator[None]:
    """Give DuckDB more memory meanwhile; its threads are put back, too."""
    with lake.reading() as connection:
        (memory, threads), *_ = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads')"
        ).fetchall()
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        try:
            yield
        finally:
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET threads = {threads}")


def _is_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether anything is noted."""
    return exists(connection, "FROM ops.outdated WHERE consumer = 'marts'")


def _advance(connection: duckdb.DuckDBPyConnection) -> tuple[bool, dict[str, Refreshed]]:
    """Compute what is noted, or a chunk of it, in one transaction.

    Returns:
        Whether there is more to do, and what was done to which mart.
    """
    done: dict[str, Refreshed] = {}
    for scope in scopes.to_go_through(connection):
        number = scalar(connection, f"SELECT count(*) {scope.notes}")
        is_large = number > scope.few
        # A second thread costs more than it brings where there is little to do: twice the time.
        connection.execute(f"SET threads = {2 if is_large else 1}")
        upto = scopes.chunk_end(connection, scope) if is_large else None
        if number:
            _compute(connection, scope, "$given IS NULL OR key <= $given", upto, done)
        if is_large:
            return True, done
    return False, done


def _isolate(lake: Lake) -> tuple[bool, dict[str, Refreshed]]:
    """Compute the next chunk of keys, after DuckDB refused one, and set aside what it refuses.

    Returns:
        As `_advance`; there may be more to do.
    """
    with lake.reading() as connection:
        scope, keys = scopes.next_chunk(connection)
    done: dict[str, Refreshed] = {}

    def attempt(part: Sequence[tuple[str, str]]) -> dict[str, Refreshed]:
        found: dict[str, Refreshed] = {}
        given = [key for _, key in part]
        lake.write(
            "compute marts",
            lambda c: _compute(c, scope, "list_contains($given, key)", given, found),
        )
        return found

    parts, refused = isolate([(scope.kind, key) for key in keys], attempt)
    for part in parts:
        for name, one in part.items():
            total = done.setdefault(name, Refreshed())
            total.written += one.written
            total.seconds += one.seconds
    if refused:
        lake.write(
            "set keys aside",
            lambda c: rejects.store_keys(c, "marts", f"marts by {scope.of}", refused),
        )
    return bool(keys), done


def _compute(
    connection: duckdb.DuckDBPyConnection,
    scope: scopes.Scope,
    which: str,
    given: str | list[str] | None,
    done: dict[str, Refreshed],
) -> None:
    """Compute the marts of some of a scope's marked keys, and mark what follows; add to `done`.

    Args:
        connection: inside a transaction.
        scope: of the keys.
        which: a condition on them.
        given: the condition's parameter, ``$given``.
        done: what was done to which mart.
    """
    noted = f"{scope.notes} AND ({which})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {scope.relation} AS "
        f"SELECT DISTINCT {scope.key} AS {scope.column} {noted}",
        {"given": given},
    )
    if scope.of == "day":
        settings_tables.bound_days(connection)
    made: set[str] = set()
    # Rows that belong to no conversation are computed together, as those of one.
    has_loose = scope.of == "conversation" and exists(
        connection,
        f"FROM {scope.relation} WHERE conversation_id = '{invalidation.NO_CONVERSATION}'",
    )
    for model in scope.models:
        began = time.monotonic()
        for step in model.steps:
            _make(connection, step, made)
        connection.execute(
            f"DELETE FROM wh.{model.table} "
            f"WHERE {scope.column} IN (SELECT {scope.column} FROM {scope.relation})"
        )
        if has_loose:
            connection.execute(f"DELETE FROM wh.{model.table} WHERE {scope.column} IS NULL")
        inserted = connection.execute(f"INSERT INTO wh.{model.table} BY NAME {model.select}")
        (rows,) = inserted.fetchone() or (0,)
        one = done.setdefault(model.name, Refreshed())
        one.written += rows
        one.seconds += time.monotonic() - began
    if scope.of == "conversation":
        _note_differences(connection, made, scopes.PRICES if scope.is_of_prices else "")
    connection.execute(f"DELETE {noted}", {"given": given})


def _make(connection: duckdb.DuckDBPyConnection, step: Model, made: set[str]) -> None:
    """Compute a step, and first those it reads, unless that was done for these keys."""
    if step.name in made:
        return
    for earlier in step.steps:
        _make(connection, earlier, made)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {step.name} AS {step.select}")
    made.add(step.name)


def _note_differences(connection: duckdb.DuckDBPyConnection, made: set[str], prefix: str) -> None:
    """Note the days and contacts that look different now, and keep how they look.

    Args:
        connection: inside the transaction.
        made: the steps that are computed.
        prefix: before the kinds of the notes.
    """
    (step,) = (step for step in models("steps") if step.name == "fingerprints")
    _make(connection, step, made)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE kept AS FROM ops.mart_days "
        "WHERE conversation_id IN (SELECT conversation_id FROM conversations_in_scope)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE different AS "
        "(FROM kept EXCEPT FROM fingerprints) UNION ALL (FROM fingerprints EXCEPT FROM kept)"
    )
    dates, contacts = (
        f"SELECT {key} AS key FROM different WHERE {which}"
        for key, which in (("date::VARCHAR", f"date > {scopes.NO_DAY}"), ("contact_id", "true"))
    )
    invalidation.mark(connection, "marts", f"{prefix}day", dates)
    invalidation.mark(connection, "marts", f"{prefix}summary", contacts)
    touched = "(SELECT conversation_id FROM different)"
    connection.execute(f"DELETE FROM ops.mart_days WHERE conversation_id IN {touched}")
    connection.execute(
        f"INSERT INTO ops.mart_days BY NAME FROM fingerprints WHERE conversation_id IN {touched}"
    )
