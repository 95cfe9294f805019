"""By what marts are computed, conversations, days and contacts, and which of them are outdated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import duckdb
from xxhash import xxh3_128_hexdigest

from warehouse.lake import home_values, invalidation
from warehouse.lake.sql import exists
from warehouse.models.model import Model, models, models_of
from warehouse.settings.environment import Settings

#: Messages that a transaction computes: bounds memory and the time the lock is held.
CHUNK = 400_000


@dataclass(frozen=True, slots=True)
class Scope:
    """By what marts are computed.

    Attributes:
        of: what the models' headers call it.
        relation: the temporary table of keys that the models read.
        column: its column, which the marts have, too.
        kind: of notes. `contact` says that a contact itself changed, which concerns its
            conversations, too; `summary` that the marts about it must be computed.
        key: how a note's key becomes the column.
        message_key: a message's key, for the weight of a note.
        few: so many keys are one chunk, whatever they weigh.
        is_of_prices: only the marts that depend on the rate card.
    """

    of: str
    relation: str
    column: str
    kind: str
    key: str
    message_key: str
    few: int
    is_of_prices: bool = False

    @property
    def models(self) -> tuple[Model, ...]:
        """The marts that are computed by it, each after those it is made of."""
        return tuple(
            model
            for model in models("marts")
            if model.scope == self.of and (not self.is_of_prices or model.table in _priced())
        )

    @property
    def notes(self) -> str:
        """FROM and WHERE of its notes."""
        return f"FROM ops.outdated WHERE consumer = 'marts' AND kind = '{self.kind}'"


_UTC_DAY = "(sent_at AT TIME ZONE 'UTC')::DATE::VARCHAR"
#: The date in ``ops.mart_days`` of what shows on no day.
NO_DAY = "DATE '0001-01-01'"
#: Before the kind of a note: only what depends on the rate card.
PRICES = "prices of "
WHOLE = (
    Scope(
        "conversation",
        "conversations_in_scope",
        "conversation_id",
        "conversation",
        "key",
        "conversation_id",
        1_000,
    ),
    Scope("day", "days_in_scope", "date", "day", "key::DATE", _UTC_DAY, 31),
    Scope("contact", "contacts_in_scope", "contact_id", "summary", "key", "contact_id", 1_000),
)
_OF_PRICES = tuple(
    replace(scope, kind=f"{PRICES}{scope.kind}", is_of_prices=True) for scope in WHOLE
)


def fingerprint(settings: Settings) -> str:
    """Return a hash of the marts' SQL and the settings, rates excluded."""
    sql = "".join(model.sql for kind in ("steps", "marts") for model in models(kind))
    meant = (
        settings.timezone,
        settings.business_hours,
        settings.holidays,
        settings.session_gap_hours,
    )
    return xxh3_128_hexdigest(f"{sql}{meant!r}".encode())


@cache
def _priced() -> frozenset[str]:
    """Return the marts that depend on the rate card, directly or by way of others."""
    found: set[str] = set()
    for model in models("marts"):
        if "temp.rates" in model.select or model.sources & found:
            found.add(model.table)
    return frozenset(found)


def invalidate_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every conversation, day and contact there is, or was when marts were last computed."""
    conversations = " UNION ".join(
        f"SELECT conversation_id AS key FROM {table}"
        for table in ("core.messages", "core.calls", *_tables("conversation"), "ops.mart_days")
    )
    conversations += f" UNION SELECT '{invalidation.NO_CONVERSATION}'"
    invalidation.mark(connection, "marts", "conversation", conversations)
    days = " UNION ".join(f"SELECT date::VARCHAR AS key FROM {table}" for table in _tables("day"))
    invalidation.mark(
        connection,
        "marts",
        "day",
        f"{days} UNION SELECT date::VARCHAR FROM ops.mart_days WHERE date > {NO_DAY}",
    )
    contacts = " UNION ".join(
        f"SELECT contact_id AS key FROM {table}" for table in ("core.contacts", *_tables("contact"))
    )
    invalidation.mark(connection, "marts", "summary", contacts)
    connection.execute("DELETE FROM ops.mart_days")


def _tables(scope: str) -> tuple[str, ...]:
    return tuple(model.table for model in models("marts") if model.scope == scope)


def translate(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Turn notes about contacts and streams into notes about what is computed from them."""
    _note_settings(connection, settings)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE noted AS "
        "SELECT kind, key FROM ops.outdated "
        "WHERE consumer = 'marts' AND kind IN ('contact', 'stream')"
    )
    if not exists(connection, "FROM noted"):
        return
    noted = "(SELECT key FROM noted WHERE kind = 'contact')"
    invalidation.mark(
        connection,
        "marts",
        "conversation",
        " UNION ".join(
            f"SELECT coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
            f"FROM {table} WHERE contact_id IN {noted}"
            for table in ("core.conversations", "core.messages", "core.calls", "ops.mart_days")
        ),
    )
    invalidation.mark(connection, "marts", "summary", noted)
    for (stream,) in connection.execute("SELECT key FROM noted WHERE kind = 'stream'").fetchall():
        _mark_readers(connection, stream)
    connection.execute(
        "DELETE FROM ops.outdated WHERE consumer = 'marts' AND kind IN ('contact', 'stream')"
    )


#: Rows of a mart that a changed table concerns, where not all are: by table and mart.
_CONCERNED = {
    ("core.users", "marts.agent_daily"): "FROM marts.agent_daily m LEFT JOIN core.users u "
    "USING (user_id) WHERE m.user_name IS DISTINCT FROM u.name OR m.is_ai_agent <> u.is_ai_agent",
}


def _mark_readers(connection: duckdb.DuckDBPyConnection, stream: str) -> None:
    """Mark the rows of all marts that read a stream's tables."""
    for table in models_of(stream):
        for scope in WHOLE:
            for mart in scope.models:
                if table.table in mart.sources:
                    rows = _CONCERNED.get((table.table, mart.table), f"FROM {mart.table} m")
                    keys = f"SELECT m.{scope.column}::VARCHAR AS key {rows}"
                    invalidation.mark(connection, "marts", scope.kind, keys)


def _note_settings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Note what the SQL or a setting makes outdated that differs from when marts were computed."""
    now = {
        "marts": fingerprint(settings),
        "rates": xxh3_128_hexdigest(repr(settings.rate_card).encode()),
    }
    made = {key: home_values.read(connection, key) for key in now}
    if made == now:
        return
    if made["marts"] != now["marts"]:
        invalidate_everything(connection)
    else:
        invalidation.mark(
            connection,
            "marts",
            f"{PRICES}conversation",
            f"SELECT coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
            "FROM marts.message_costs",
        )
    home_values.keep(connection, now)


def to_go_through(connection: duckdb.DuckDBPyConnection) -> tuple[Scope, ...]:
    """Return the scopes to go through, those of prices alone only where something is noted."""
    noted = f"FROM ops.outdated WHERE consumer = 'marts' AND starts_with(kind, '{PRICES}')"
    return (*WHOLE, *_OF_PRICES) if exists(connection, noted) else WHOLE


def chunk_end(connection: duckdb.DuckDBPyConnection, scope: Scope) -> str | None:
    """Return the last key of the first chunk of a scope's notes; None = all are one chunk."""
    found = connection.execute(
        f"SELECT min(key) FROM (SELECT key, sum(1 + coalesce(weight, 0)) OVER (ORDER BY key) "
        f"AS weight FROM (SELECT key {scope.notes}) "
        f"LEFT JOIN (SELECT {scope.message_key} AS key, count(*) AS weight FROM core.messages "
        f"GROUP BY ALL) USING (key)) WHERE weight >= {CHUNK}"
    ).fetchone()
    return found[0] if found else None


def next_chunk(connection: duckdb.DuckDBPyConnection) -> tuple[Scope, list[str]]:
    """Return the first scope that has notes, and the keys of its first chunk."""
    for scope in to_go_through(connection):
        keys = [
            key for (key,) in connection.execute(f"SELECT DISTINCT key {scope.notes}").fetchall()
        ]
        if keys:
            upto = chunk_end(connection, scope) if len(keys) > scope.few else None
            return scope, sorted(key for key in keys if upto is None or key <= upto)
    return WHOLE[0], []
