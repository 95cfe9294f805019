"""Marts brought up to core: only what changed is computed, and it equals a computation of all.

What changed is marked in ``ops.outdated``. It is worked off in three rounds, each in transactions
that delete the keys they compute and mark what follows:

1. conversations: their sessions, turns and costs. Fingerprints (``ops.mart_days``) show on which
   days, and for which contacts, anything changed by that (of what: `warehouse.marts.columns`);
2. these days: the daily marts;
3. these contacts: the marts about contacts.

A change of the SQL or of a setting that matters marks everything. Where only the rate card changed,
the same three rounds compute what depends on it and nothing else. A run killed anywhere is resumed
by the next. A rebuild goes the same way in one transaction, with all tables made again, where
messages are not too many for that.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import duckdb

from warehouse import rejects
from warehouse.errors import ValueRefused, WarehouseError
from warehouse.lake import invalidation, memory, schema, statistics
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.lake.sql import among, differing, exists, scalar
from warehouse.marts import categories, rows, scopes, settings_tables, volumes
from warehouse.marts.columns import with_columns
from warehouse.models.model import Model, models
from warehouse.settings.environment import Settings

_log = logging.getLogger(__name__)
#: DuckDB's memory limit meanwhile; the process needs some 300 MB beside it.
_MEMORY = "500MB"
#: Messages whose marts are made again in one transaction. No temporary table of it is free before
#: it ends, which takes 1 KB of disk a message, and of 10 million more memory than there is.
_MOST_AT_ONCE = 2_000_000


@dataclass(slots=True)
class Refreshed:
    """What a refresh computed of one mart.

    Attributes:
        written: rows stored.
        seconds: time it took, wall clock.
    """

    written: int = 0
    seconds: float = 0.0


def refresh(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    """Bring every mart up to core; return what was computed of each, by name.

    Raises:
        WarehouseError: DuckDB failed; what was committed before stays, and is right.
    """
    done = {model.name: Refreshed() for model in models("marts")}
    with lake.reading() as reader, memory.raised(reader, _MEMORY):
        more = lake.write("mark outdated marts", partial(scopes.translate, settings=settings))
        if more:
            # They outlive the transaction: the lake's writing connection keeps them.
            lake.write("read the settings", partial(_install, settings=settings))
        advance = partial(_advance, chunks=scopes.Chunks())
        while more:
            try:
                more, step = lake.write("compute marts", advance)
            except ValueRefused:
                more, step = _isolate(lake)
            _add(done, step)
    return done


def rebuild(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    """Make every mart again from core; return what was computed of each, by name.

    One transaction, and the old rows are not read: readers see these until the new ones are there,
    and a table with a lost file is made whole. Of many messages the old rows are replaced key by
    key instead, unless that fails, as where a value is refused: the refused key is set aside.

    Raises:
        WarehouseError: DuckDB failed; what was not replaced yet stays.
    """
    if _are_many(lake):
        try:
            return _replace_all(lake, settings)
        except WarehouseError as error:
            _log.warning("the marts are made again in one transaction, since %s", error)
    with lake.reading() as reader, memory.raised(reader, _MEMORY):
        try:
            done = lake.write("compute all marts", partial(_compute_everything, settings=settings))
        except ValueRefused:
            pass
        else:
            lake.write("describe empty marts", statistics.initialize)
            return done
    return _replace_all(lake, settings)


def _are_many(lake: Lake) -> bool:
    with lake.reading() as connection:
        return scalar(connection, "SELECT count(*) FROM core.messages") > _MOST_AT_ONCE


def _replace_all(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    lake.write("mark all marts", scopes.invalidate_everything)
    return refresh(lake, settings)


def _compute_everything(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> dict[str, Refreshed]:
    """Drop the marts and compute them, inside a transaction; return what was computed of each."""
    for mart in models("marts"):
        if not mart.is_view:
            schema.make_again(connection, mart)
    scopes.begin_again(connection, settings)
    categories.bring_up(connection, settings, scopes.PRICES)
    _install(connection, settings)
    done = {model.name: Refreshed() for model in models("marts")}
    more, chunks = True, scopes.Chunks()
    while more:
        more, step = _advance(connection, chunks)
        _add(done, step)
    return done


def _install(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make what the models read of the settings."""
    settings_tables.install(connection, settings)
    volumes.prepare(connection)


def _add(done: dict[str, Refreshed], step: dict[str, Refreshed]) -> None:
    """Add what a step computed."""
    for name, one in step.items():
        total = done.setdefault(name, Refreshed())
        total.written += one.written
        total.seconds += one.seconds


def _advance(
    connection: duckdb.DuckDBPyConnection, chunks: scopes.Chunks
) -> tuple[bool, dict[str, Refreshed]]:
    """Compute what is outdated, or a chunk of it, inside a transaction.

    Args:
        connection: inside the transaction.
        chunks: those found so far in this refresh.

    Returns:
        Whether there may be more, and what was computed of which mart.
    """
    done: dict[str, Refreshed] = {}
    for number, scope in scopes.with_numbers(connection):
        is_large = number > scope.few
        # A second thread costs more than it brings where there is little to do: twice the time.
        connection.execute(f"SET threads = {2 if is_large else 1}")
        upto = chunks.end(connection, scope, number) if is_large else None
        if number:
            _compute(
                connection,
                scope,
                "$given IS NULL OR key <= $given",
                upto,
                done,
                is_few=not is_large,
            )
        if is_large:
            memory.give_back()
            return True, done
    return False, done


def _isolate(lake: Lake) -> tuple[bool, dict[str, Refreshed]]:
    """Compute the next chunk of keys, after DuckDB refused one, and set aside what it refuses.

    Returns:
        As `_advance`.
    """
    with lake.reading() as connection:
        scope, keys = scopes.next_chunk(connection)
    done: dict[str, Refreshed] = {}

    def attempt(part: Sequence[tuple[str, str]]) -> dict[str, Refreshed]:
        found: dict[str, Refreshed] = {}
        given = [key for _, key in part]
        lake.write(
            "compute marts",
            lambda c: _compute(
                c, scope, "list_contains($given, key)", given, found, is_few=len(given) <= scope.few
            ),
        )
        return found

    parts, refused = isolate([(scope.kind, key) for key in keys], attempt)
    for part in parts:
        _add(done, part)
    if refused:
        lake.write(
            "set keys aside",
            lambda c: rejects.store_keys(c, scope.consumer, f"marts by {scope.of}", refused),
        )
    return bool(keys), done


def _compute(
    connection: duckdb.DuckDBPyConnection,
    scope: scopes.Scope,
    which: str,
    given: str | list[str] | None,
    done: dict[str, Refreshed],
    *,
    is_few: bool,
) -> None:
    """Compute the marts of some of a scope's outdated keys, and mark what follows; add to `done`.

    Args:
        connection: inside a transaction.
        scope: of the keys.
        which: a condition on ``key``.
        given: the condition's parameter, ``$given``.
        done: what was computed of which mart.
        is_few: so few keys that what is stored of them fits into memory, too.
    """
    outdated = f"{scope.outdated(connection)} AND ({which})"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {scope.relation} AS "
        f"SELECT DISTINCT {scope.key} AS {scope.column} {outdated}",
        {"given": given},
    )
    if scope.of == "day":
        settings_tables.bound_days(connection)
    # Rows that belong to no conversation are computed together, as those of one.
    has_loose = scope.of == "conversation" and exists(
        connection,
        f"FROM {scope.relation} WHERE conversation_id = '{invalidation.NO_CONVERSATION}'",
    )
    made = _Made.of(connection, scope, has_loose) if is_few else _Made(has_loose)
    where = made.replaced(_chosen(scope))
    if has_loose:
        where += f" OR {scope.column} IS NULL"
    for mart in scope.models:
        began = time.monotonic()
        for step in mart.steps:
            _make(connection, step, made)
        if mart.table == volumes.MART:
            volumes.bring_up(connection, scopes.PRICES)
        one = done.setdefault(mart.name, Refreshed())
        if is_few:
            select = made.replaced(mart.select)
            one.written += rows.write_differences(connection, mart, select, where)
            made.names.add(rows.COMPUTED.format(mart.name))
        else:
            one.written += rows.replace(connection, mart, where)
        one.seconds += time.monotonic() - began
    if scope.of == "conversation":
        _mark_differences(connection, made, scope.consumer)
    else:
        scopes.forget_parts(connection, scope, f"SELECT key {outdated}", given)
    connection.execute(f"DELETE {outdated}", {"given": given})
    # Their memory is free when the transaction ends; replaced by the next they would outlive it.
    for name in made.names:
        connection.execute(f"DROP TABLE temp.{name}")


#: How models ask whether what belongs to no conversation is computed: else its rows, which no file
#: keeps together, need not be looked for.
_LOOSE = (
    f"'{invalidation.NO_CONVERSATION}' IN (SELECT conversation_id FROM temp.conversations_in_scope)"
)


@dataclass(slots=True)
class _Made:
    """The temporary tables that were made for some keys of a scope, and how SQL names the keys.

    Attributes:
        has_loose: whether what belongs to no conversation is computed, too.
        names: of the tables.
        chosen: the condition by which models choose the keys.
        listed: the same with the keys themselves, which is found faster; empty where they are many.
    """

    has_loose: bool
    names: set[str] = field(default_factory=set)
    chosen: str = ""
    listed: str = ""

    @classmethod
    def of(
        cls, connection: duckdb.DuckDBPyConnection, scope: scopes.Scope, has_loose: bool
    ) -> _Made:
        """Return it for few keys, which are in the scope's temporary table."""
        if scope.of == "day":
            return cls(has_loose)  # no table has a column of dates alone that is found by them
        listed = among(connection, scope.column, scope.column, f"temp.{scope.relation}")
        return cls(has_loose, chosen=_chosen(scope), listed=listed or "")

    def replaced(self, sql: str) -> str:
        """Return SQL that finds the same rows faster: with constants, and keys that are listed.

        Where more conditions follow, the keys are compared first and apart, see `among`.
        """
        sql = sql.replace(_LOOSE, str(self.has_loose).lower())
        if not self.listed:
            return sql
        more = rf"FROM ((?:core|marts)\.[a-z_]+)\s+WHERE {re.escape(self.chosen)}\s+AND\b"
        apart = f"FROM (SELECT * FROM {{}} WHERE {self.listed} OFFSET 0) WHERE"
        sql = re.sub(more, lambda found: apart.format(found[1]), sql)
        return sql.replace(self.chosen, self.listed)


def _chosen(scope: scopes.Scope) -> str:
    return f"{scope.column} IN (SELECT {scope.column} FROM temp.{scope.relation})"


def _make(connection: duckdb.DuckDBPyConnection, step: Model, made: _Made) -> None:
    """Compute a step, and first those it reads, unless that was done for these keys."""
    if step.name in made.names:
        return
    for earlier in step.steps:
        _make(connection, earlier, made)
    sql = made.replaced(with_columns(step.select))
    for mart in models("marts"):
        # Computed a moment ago, for the same keys, these rows need not be read from the lake.
        if (computed := rows.COMPUTED.format(mart.name)) in made.names:
            sql = sql.replace(f"FROM {mart.table}\n", f"FROM temp.{computed}\n")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {step.name} AS {sql}")
    made.names.add(step.name)


def _mark_differences(connection: duckdb.DuckDBPyConnection, made: _Made, consumer: str) -> None:
    """Mark the days and contacts whose fingerprints changed, and keep the new ones.

    Args:
        connection: inside the transaction.
        made: what is computed of the conversations in scope.
        consumer: for whom they are marked.
    """
    (step,) = (step for step in models("steps") if step.name == "fingerprints")
    _make(connection, step, made)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE kept AS FROM ops.mart_days WHERE "
        + made.replaced(
            "conversation_id IN (SELECT conversation_id FROM temp.conversations_in_scope)"
        )
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE different AS "
        + differing("kept", "fingerprints", "conversation_id, date, contact_id, fingerprint")
    )
    dates, contacts = (
        f"SELECT {key} AS key FROM different WHERE {which}"
        for key, which in (("date::VARCHAR", f"date > {scopes.NO_DAY}"), ("contact_id", "true"))
    )
    # Prices concern the same marts of contacts either way: their marks keep the older kind.
    of_contacts = invalidation.ACTIVITY if consumer == scopes.MARTS else "summary"
    invalidation.mark_all(connection, consumer, {"day": dates, of_contacts: contacts})
    # A conversation has a row for each of its days; few of them differ.
    row = "concat_ws(chr(31), conversation_id, date, coalesce(contact_id, chr(30)))"
    differs = (
        "conversation_id IN (SELECT conversation_id FROM different) "
        f"AND {row} IN (SELECT {row} FROM different)"
    )
    connection.execute(f"DELETE FROM ops.mart_days WHERE {differs}")
    connection.execute(f"INSERT INTO ops.mart_days BY NAME FROM fingerprints WHERE {differs}")
    for name in ("kept", "different"):
        connection.execute(f"DROP TABLE temp.{name}")
