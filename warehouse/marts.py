"""How the marts follow core: only what changed is computed anew, and it equals a rebuild.

What changed is noted in ``ops.outdated``. It goes through three rounds, each in transactions that
delete the notes they work off and note what follows:

1. conversations: their sessions, turns and costs. Fingerprints (``ops.mart_days``) tell on which
   days, and for which contacts, anything looks different now;
2. these days: the daily marts;
3. these contacts: the marts about contacts.

A rebuild notes everything and goes the same way, as does a change of the SQL or of a setting that
matters. A run killed anywhere is resumed by the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from graphlib import TopologicalSorter

import duckdb
from xxhash import xxh3_128_hexdigest

from hatif.settings import Settings
from warehouse import outdated, terms
from warehouse.lake import Lake
from warehouse.models import Model, models

#: Messages, or what weighs as much, that a transaction computes: bounds memory and lock time.
_CHUNK = 400_000
#: So few keys are one chunk, whatever they weigh.
_FEW = 1_000
#: DuckDB's memory limit meanwhile; the process needs some 300 MB beside it.
_MEMORY = "900MB"

#: The relation of keys of each scope, its column, which the marts have, too, and how a note's key
#: becomes that.
_SCOPES = {
    "conversation": ("conversations_in_scope", "conversation_id", "key"),
    "day": ("days_in_scope", "date", "key::DATE"),
    "contact": ("contacts_in_scope", "contact_id", "key"),
}
#: The kind of note of each scope: `contact` says that a contact itself changed, which concerns
#: its conversations, too.
_KINDS = {"conversation": "conversation", "day": "day", "contact": "summary"}
_WEIGHTS = {
    "conversation": "SELECT conversation_id AS key, count(*) AS weight FROM core.messages "
    "GROUP BY 1",
    "day": "SELECT (DATE '1970-01-01' + (epoch_us(sent_at) // 86400000000)::INTEGER)::VARCHAR "
    "AS key, count(*) AS weight FROM core.messages GROUP BY 1",
    "contact": "SELECT contact_id AS key, count(*) AS weight FROM core.messages GROUP BY 1",
}
_STRAYS = (
    "SELECT 1 FROM core.calls WHERE conversation_id IS NULL UNION ALL "
    "SELECT 1 FROM ops.mart_days WHERE conversation_id = '' LIMIT 1"
)


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
        lake.write("see what is outdated", lambda connection: _translate(connection, settings))
        with lake.reading() as connection:
            idle = not any(_chunks(connection, scope) for scope in _SCOPES)
        if idle:
            return done
        # They outlive the transaction: the lake's writing connection keeps them.
        lake.write("read the settings", lambda connection: terms.install(connection, settings))
        for scope in _SCOPES:
            with lake.reading() as connection:
                chunks = _chunks(connection, scope)
            for upto in chunks:
                work = partial(_round, scope=scope, upto=upto)
                for name, more in lake.write(f"compute marts by {scope}", work).items():
                    done[name].written += more.written
                    done[name].seconds += more.seconds
    return done


def rebuild(lake: Lake, settings: Settings) -> dict[str, Refreshed]:
    """Compute every mart from scratch; return what was done to each, by name.

    Raises:
        WarehouseError: DuckDB refused; what was committed before stays, and is right.
    """
    lake.write("note everything", _note_everything)
    return refresh(lake, settings)


def fingerprint(settings: Settings) -> str:
    """Return what tells marts of this SQL and these settings from others."""
    sql = "".join(model.sql for kind in ("steps", "marts") for model in models(kind))
    meant = (
        settings.timezone,
        settings.business_hours,
        settings.holidays,
        settings.session_gap_hours,
        settings.rate_card,
    )
    return xxh3_128_hexdigest(f"{sql}{meant!r}".encode())


@contextmanager
def _room(lake: Lake) -> Iterator[None]:
    """Give DuckDB more memory and both cores meanwhile: sorting a chunk is no small batch."""
    with lake.reading() as connection:
        (memory, threads), *_ = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads')"
        ).fetchall()
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        connection.execute("SET threads = 2")
        try:
            yield
        finally:
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET threads = {threads}")


def _note_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every conversation, day and contact there is, or was when marts were last computed."""
    conversations = " UNION ".join(
        f"SELECT conversation_id AS key FROM {table}"
        for table in ("core.messages", "core.calls", *_tables("conversation"))
    )
    outdated.mark(connection, "marts", "conversation", conversations)
    days = " UNION ".join(f"SELECT date::VARCHAR AS key FROM {table}" for table in _tables("day"))
    outdated.mark(
        connection, "marts", "day", f"{days} UNION SELECT date::VARCHAR FROM ops.mart_days"
    )
    contacts = " UNION ".join(
        f"SELECT contact_id AS key FROM {table}" for table in ("core.contacts", *_tables("contact"))
    )
    outdated.mark(connection, "marts", "summary", contacts)
    connection.execute("DELETE FROM ops.mart_days")


def _tables(scope: str) -> tuple[str, ...]:
    return tuple(model.table for model in models("marts") if model.scope == scope)


def _translate(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Turn notes about contacts and streams into notes about what is computed from them."""
    made = connection.execute("SELECT value FROM ops.home WHERE key = 'marts'").fetchone()
    if made is None or made[0] != fingerprint(settings):
        _note_everything(connection)
        connection.execute("DELETE FROM ops.home WHERE key = 'marts'")
        connection.execute("INSERT INTO ops.home VALUES ('marts', ?)", [fingerprint(settings)])
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE noted AS "
        "SELECT kind, key FROM ops.outdated "
        "WHERE consumer = 'marts' AND kind IN ('contact', 'stream')"
    )
    if not connection.execute("SELECT 1 FROM noted LIMIT 1").fetchone():
        return
    noted = "(SELECT key FROM noted WHERE kind = 'contact')"
    outdated.mark(
        connection,
        "marts",
        "conversation",
        " UNION ".join(
            f"SELECT conversation_id AS key FROM {table} WHERE contact_id IN {noted}"
            for table in ("core.conversations", "core.messages", "core.calls", "ops.mart_days")
        ),
    )
    outdated.mark(connection, "marts", "summary", noted)
    if connection.execute("SELECT 1 FROM noted WHERE kind = 'stream' AND key = 'users'").fetchone():
        outdated.mark(
            connection,
            "marts",
            "day",
            "SELECT a.date::VARCHAR AS key FROM marts.agent_daily a LEFT JOIN core.users u "
            "USING (user_id) WHERE a.user_name IS DISTINCT FROM u.name "
            "OR a.is_ai_agent <> u.is_ai_agent",
        )
    connection.execute(
        "DELETE FROM ops.outdated WHERE consumer = 'marts' AND kind IN ('contact', 'stream')"
    )


def _chunks(connection: duckdb.DuckDBPyConnection, scope: str) -> list[str | None]:
    """Return the last key of each chunk of a scope's notes; None = all that are left."""
    notes = f"FROM ops.outdated WHERE consumer = 'marts' AND kind = '{_KINDS[scope]}'"
    (number,) = connection.execute(f"SELECT count(*) {notes}").fetchone() or (0,)
    if number <= _FEW:
        # Calls without a conversation are noted by nobody.
        stray = scope == "conversation" and connection.execute(_STRAYS).fetchone()
        return [None] if number or stray else []
    rows = connection.execute(
        "SELECT max(key) FROM (SELECT key, "
        f"sum(1 + coalesce(weight, 0)) OVER (ORDER BY key) // {_CHUNK} AS chunk "
        f"FROM (SELECT key {notes}) LEFT JOIN ({_WEIGHTS[scope]}) USING (key)) "
        "GROUP BY chunk ORDER BY chunk"
    ).fetchall()
    return [*(upto for (upto,) in rows[:-1]), None]


def _round(
    connection: duckdb.DuckDBPyConnection,
    *,
    scope: str,
    upto: str | None,
) -> dict[str, Refreshed]:
    """Compute the marts of the noted keys up to one, and note what follows: one transaction."""
    relation, column, key = _SCOPES[scope]
    noted = (
        f"FROM ops.outdated WHERE consumer = 'marts' AND kind = '{_KINDS[scope]}' "
        "AND ($upto IS NULL OR key <= $upto)"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {relation} AS SELECT DISTINCT {key} AS {column} {noted}",
        {"upto": upto},
    )
    if scope == "day":
        terms.bound_days(connection)
    done: dict[str, Refreshed] = {}
    made: set[str] = set()
    for model in _in_order(scope):
        began = time.monotonic()
        for step in model.steps:
            _make(connection, step, made)
        connection.execute(
            f"DELETE FROM wh.{model.table} WHERE {column} IN (SELECT {column} FROM {relation})"
        )
        inserted = connection.execute(f"INSERT INTO wh.{model.table} BY NAME {model.select}")
        (rows,) = inserted.fetchone() or (0,)
        done[model.name] = Refreshed(rows, time.monotonic() - began)
    if scope == "conversation":
        _note_differences(connection, made)
    connection.execute(f"DELETE {noted}", {"upto": upto})
    return done


def _make(connection: duckdb.DuckDBPyConnection, step: Model, made: set[str]) -> None:
    """Compute a step, and first those it reads, unless that was done for these keys."""
    if step.name in made:
        return
    for earlier in step.steps:
        _make(connection, earlier, made)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {step.name} AS {step.select}")
    made.add(step.name)


def _note_differences(connection: duckdb.DuckDBPyConnection, made: set[str]) -> None:
    """Note the days and contacts that look different now, and keep how they look."""
    (step,) = (step for step in models("steps") if step.name == "fingerprints")
    _make(connection, step, made)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE kept AS FROM ops.mart_days WHERE conversation_id = '' "
        "OR conversation_id IN (SELECT conversation_id FROM conversations_in_scope)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE different AS "
        "(FROM kept EXCEPT FROM fingerprints) UNION ALL (FROM fingerprints EXCEPT FROM kept)"
    )
    outdated.mark(connection, "marts", "day", "SELECT date::VARCHAR AS key FROM different")
    outdated.mark(connection, "marts", "summary", "SELECT contact_id AS key FROM different")
    touched = "(SELECT conversation_id FROM different)"
    connection.execute(f"DELETE FROM ops.mart_days WHERE conversation_id IN {touched}")
    connection.execute(
        f"INSERT INTO ops.mart_days BY NAME FROM fingerprints WHERE conversation_id IN {touched}"
    )


@cache
def _in_order(scope: str) -> tuple[Model, ...]:
    """Return the marts of a scope, each after those it reads."""
    ours = {model.table: model for model in models("marts") if model.scope == scope}
    graph = {table: sorted(model.sources & ours.keys()) for table, model in ours.items()}
    return tuple(ours[table] for table in TopologicalSorter(graph).static_order())
