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

import duckdb
from xxhash import xxh3_128_hexdigest

from hatif.settings import Settings
from warehouse import outdated, terms
from warehouse.lake import Lake
from warehouse.models import Model, models

#: Messages that a transaction computes: bounds memory and the time the lock is held.
_CHUNK = 400_000
#: DuckDB's memory limit meanwhile; the process needs some 300 MB beside it.
_MEMORY = "900MB"


@dataclass(frozen=True, slots=True)
class Scope:
    """By what marts are computed.

    Attributes:
        relation: the temporary table of keys that the models read.
        column: its column, which the marts have, too.
        kind: of notes. `contact` says that a contact itself changed, which concerns its
            conversations, too; `summary` that the marts about it must be computed.
        key: how a note's key becomes the column.
        message_key: a message's key, for the weight of a note.
        few: so many keys are one chunk, whatever they weigh.
    """

    relation: str
    column: str
    kind: str
    key: str
    message_key: str
    few: int

    @property
    def notes(self) -> str:
        """FROM and WHERE of its notes."""
        return f"FROM ops.outdated WHERE consumer = 'marts' AND kind = '{self.kind}'"


_UTC_DAY = "(DATE '1970-01-01' + (epoch_us(sent_at) // 86400000000)::INTEGER)::VARCHAR"
_SCOPES = {
    "conversation": Scope(
        "conversations_in_scope", "conversation_id", "conversation", "key", "conversation_id", 1_000
    ),
    "day": Scope("days_in_scope", "date", "day", "key::DATE", _UTC_DAY, 31),
    "contact": Scope("contacts_in_scope", "contact_id", "summary", "key", "contact_id", 1_000),
}


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
            more = _is_outdated(connection)
        if more:
            # They outlive the transaction: the lake's writing connection keeps them.
            lake.write("read the settings", lambda connection: terms.install(connection, settings))
        while more:
            more, step = lake.write("compute marts", _advance)
            for name, one in step.items():
                done[name].written += one.written
                done[name].seconds += one.seconds
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


def _note_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every conversation, day and contact there is, or was when marts were last computed."""
    conversations = " UNION ".join(
        f"SELECT conversation_id AS key FROM {table}"
        for table in ("core.messages", "core.calls", *_tables("conversation"), "ops.mart_days")
    )
    conversations += f" UNION SELECT '{outdated.NO_CONVERSATION}'"
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


def _is_outdated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether anything is noted."""
    found = connection.execute(
        "SELECT 1 FROM ops.outdated WHERE consumer = 'marts' LIMIT 1"
    ).fetchone()
    return found is not None


def _advance(connection: duckdb.DuckDBPyConnection) -> tuple[bool, dict[str, Refreshed]]:
    """Compute what is noted, or a chunk of it, in one transaction.

    Returns:
        Whether there is more to do, and what was done to which mart.
    """
    done: dict[str, Refreshed] = {}
    for name, scope in _SCOPES.items():
        (number,) = connection.execute(f"SELECT count(*) {scope.notes}").fetchone() or (0,)
        is_large = number > scope.few
        # A second thread costs more than it brings where there is little to do: twice the time.
        connection.execute(f"SET threads = {2 if is_large else 1}")
        upto = _chunk_end(connection, scope) if is_large else None
        if number:
            done |= _compute(connection, name, upto)
        if is_large:
            return True, done
    return False, done


def _chunk_end(connection: duckdb.DuckDBPyConnection, scope: Scope) -> str | None:
    """Return the last key of the first chunk of a scope's notes; None = all are one chunk."""
    found = connection.execute(
        f"SELECT min(key) FROM (SELECT key, sum(1 + coalesce(weight, 0)) OVER (ORDER BY key) "
        f"AS weight FROM (SELECT key {scope.notes}) "
        f"LEFT JOIN (SELECT {scope.message_key} AS key, count(*) AS weight FROM core.messages "
        f"GROUP BY ALL) USING (key)) WHERE weight >= {_CHUNK}"
    ).fetchone()
    return found[0] if found else None


def _compute(
    connection: duckdb.DuckDBPyConnection, name: str, upto: str | None
) -> dict[str, Refreshed]:
    """Compute the marts of a scope's noted keys up to one, and note what follows."""
    scope = _SCOPES[name]
    noted = f"{scope.notes} AND ($upto IS NULL OR key <= $upto)"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {scope.relation} AS "
        f"SELECT DISTINCT {scope.key} AS {scope.column} {noted}",
        {"upto": upto},
    )
    if name == "day":
        terms.bound_days(connection)
    done: dict[str, Refreshed] = {}
    made: set[str] = set()
    for model in models("marts"):
        if model.scope != name:
            continue
        began = time.monotonic()
        for step in model.steps:
            _make(connection, step, made)
        connection.execute(
            f"DELETE FROM wh.{model.table} "
            f"WHERE {scope.column} IN (SELECT {scope.column} FROM {scope.relation})"
        )
        inserted = connection.execute(f"INSERT INTO wh.{model.table} BY NAME {model.select}")
        (rows,) = inserted.fetchone() or (0,)
        done[model.name] = Refreshed(rows, time.monotonic() - began)
    if name == "conversation":
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
        "CREATE OR REPLACE TEMP TABLE kept AS FROM ops.mart_days "
        "WHERE conversation_id IN (SELECT conversation_id FROM conversations_in_scope)"
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
