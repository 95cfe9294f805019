"""Scopes: the conversations, days and contacts by which marts are computed, and the outdated ones.

Outdated keys stand in ``ops.outdated`` for the consumer ``marts``, or ``prices`` where only the
rate card changed: then only the marts that depend on it are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import duckdb
from xxhash import xxh3_128_hexdigest

from warehouse.lake import invalidation, schema, staging
from warehouse.lake.sql import exists, home_values, keep_home_values, scalar
from warehouse.marts import categories, invoices, settings_tables
from warehouse.models.model import Model, models, models_of
from warehouse.settings.environment import Settings

#: Messages that are computed at a time: bounds memory, and how long a refresh holds the write lock.
CHUNK = 200_000
#: So many times that of days and contacts: they need less of a message, and no file is sorted by
#: them, so that each chunk reads all there are.
_WIDE = 3
#: Consumers in ``ops.outdated``: of all marts, and of those that depend on the rate card.
MARTS, PRICES = "marts", "prices"


@dataclass(frozen=True, slots=True)
class Scope:
    """By what marts are computed.

    Attributes:
        of: its name in the models' headers.
        relation: the temporary table of keys that the models read.
        column: its column, which the marts have, too.
        kind: of its keys in ``ops.outdated``. There `contact` means that a contact itself changed,
            which concerns its conversations, too; `summary` that the marts about it are outdated;
            `activity` that those of them are that read its conversations, messages or calls.
        key: SQL for the column out of an outdated key.
        message_key: SQL for the key that a message belongs to; a key weighs as many messages.
        few: so many keys are one chunk, whatever they weigh.
        times: a chunk holds so many times `CHUNK` messages.
        consumer: `MARTS`, or `PRICES` for only the marts that depend on the rate card.
    """

    of: str
    relation: str
    column: str
    kind: str
    key: str
    message_key: str
    few: int
    times: int = 1
    consumer: str = MARTS

    @property
    def models(self) -> tuple[Model, ...]:
        """The marts that are computed by it, each after those it is made of.

        Those made of no other mart come first, the ones with few steps before the others: fewer
        steps lie in memory while prices are computed, which takes most.
        """
        found = [
            model
            for model in models("marts")
            if model.scope == self.of
            and (self.consumer == MARTS or model.table in _priced())
            and (self.kind != invalidation.ACTIVITY or not model.sources <= set(_of_contacts()))
        ]
        tables = {model.table for model in found}
        first = [model for model in found if not model.sources & (tables - {model.table})]
        first.sort(key=lambda model: len(_all_steps(model)))
        return (*first, *(model for model in found if model not in first))

    def outdated(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Return FROM and WHERE of its outdated keys."""
        marks = staging.marks(connection)
        return f"FROM {marks} WHERE consumer = '{self.consumer}' AND kind = '{self.kind}'"


_UTC_DAY = "(sent_at AT TIME ZONE 'UTC')::DATE::VARCHAR"
#: The date in ``ops.mart_days`` of what belongs to no day.
NO_DAY = "DATE '0001-01-01'"
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
    Scope("day", "days_in_scope", "date", "day", "key::DATE", _UTC_DAY, 31, _WIDE),
    Scope(
        "contact", "contacts_in_scope", "contact_id", "summary", "key", "contact_id", 1_000, _WIDE
    ),
)


def fingerprint(settings: Settings) -> str:
    """Return a hash of the marts' SQL and of the settings, those of prices excluded."""
    sql = "".join(model.select for kind in ("steps", "marts") for model in models(kind))
    return xxh3_128_hexdigest(f"{sql}{settings_tables.terms_of(settings)!r}".encode())


def _all_steps(one: Model) -> set[str]:
    """Return the names of the steps that a model is made of, directly or not."""
    return {step.name for step in one.steps}.union(*map(_all_steps, one.steps))


@cache
def _priced() -> frozenset[str]:
    """Return the marts that depend on settings of prices, directly or by way of others."""
    found: set[str] = set()
    for model in models("marts"):
        if "temp.rates" in model.select or model.sources & found:
            found.add(model.table)
    return frozenset(found)


def invalidate_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark every conversation, day and contact there is, or was when marts were last computed."""
    _mark_core(connection)
    for scope in WHOLE:
        for mart in scope.models:
            keys = f"SELECT {scope.column}::VARCHAR AS key FROM {mart.table}"
            invalidation.mark(connection, MARTS, scope.kind, keys)
    for kind, keys in (
        ("conversation", "SELECT conversation_id AS key FROM ops.mart_days"),
        ("day", f"SELECT date::VARCHAR AS key FROM ops.mart_days WHERE date > {NO_DAY}"),
    ):
        invalidation.mark(connection, MARTS, kind, keys)
    connection.execute("DELETE FROM ops.mart_days")


def begin_again(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Mark what core holds, for marts that are empty tables; no row of theirs is read.

    Days, and contacts that are in no list of contacts, follow from the conversations.
    """
    connection.execute(
        f"DELETE FROM {staging.marks(connection)} WHERE consumer IN ('{MARTS}', '{PRICES}')"
    )
    for table in ("ops.mart_days", "ops.price_boundaries"):
        schema.make_ours_again(connection, table)
    _mark_core(connection)
    settings_tables.keep(connection, settings)
    keep_home_values(connection, _fingerprints(settings))


def _mark_core(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark the conversations and contacts of core."""
    conversations = (
        "SELECT conversation_id AS key FROM core.messages UNION "
        "SELECT conversation_id FROM core.calls UNION "
        f"SELECT '{invalidation.NO_CONVERSATION}'"
    )
    invalidation.mark(connection, MARTS, "conversation", conversations)
    contacts = " UNION ".join(f"SELECT contact_id AS key FROM {table}" for table in _of_contacts())
    invalidation.mark(connection, MARTS, "summary", contacts)


@cache
def _of_contacts() -> tuple[str, ...]:
    """Return the core tables of contacts that marts read, those of conversations left out."""
    read = {table for one in models("marts") if one.scope == "contact" for table in one.sources}
    found = []
    for one in models("core"):
        columns = {column.name for column in one.columns}
        if one.table in read and "contact_id" in columns and "conversation_id" not in columns:
            found.append(one.table)
    return tuple(found)


def translate(connection: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Mark what is computed from marked contacts and streams, and from changed settings.

    Returns:
        Whether anything of the marts is outdated.
    """
    _mark_settings(connection, settings)
    categories.bring_up(connection, settings, PRICES)
    invoices.bring_up(connection, settings)
    _mark_dependents(connection)
    return exists(
        connection, f"FROM {staging.marks(connection)} WHERE consumer IN ('{MARTS}', '{PRICES}')"
    )


def _mark_dependents(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark what is computed from marked contacts and streams."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE translated AS "
        f"SELECT kind, key FROM {staging.marks(connection)} "
        f"WHERE consumer = '{MARTS}' AND kind IN ('contact', 'stream')"
    )
    if not exists(connection, "FROM translated"):
        return
    contacts = "(SELECT key FROM translated WHERE kind = 'contact')"
    conversations = " UNION ".join(
        f"SELECT coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
        f"FROM {table} WHERE contact_id IN {contacts}"
        for table in ("core.conversations", "core.messages", "core.calls", "ops.mart_days")
    )
    invalidation.mark_all(
        connection, MARTS, {"conversation": conversations, "summary": contacts[1:-1]}
    )
    for (stream,) in connection.execute(
        "SELECT key FROM translated WHERE kind = 'stream'"
    ).fetchall():
        _mark_readers(connection, stream)
    connection.execute(
        f"DELETE FROM {staging.marks(connection)} "
        f"WHERE consumer = '{MARTS}' AND kind IN ('contact', 'stream')"
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
                    invalidation.mark(connection, MARTS, scope.kind, keys)


def _mark_settings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Mark what depends on SQL or on a setting that differs from when marts were last computed."""
    now = _fingerprints(settings)
    values = home_values(connection)
    before = {key: values.get(key) for key in now}
    if before == now:
        return
    settings_tables.keep(connection, settings)
    if before["marts"] != now["marts"]:
        invalidate_everything(connection)
    elif before["rates"] != now["rates"]:
        costs = (
            f"SELECT coalesce(conversation_id, '{invalidation.NO_CONVERSATION}') AS key "
            "FROM marts.message_costs"
        )
        invalidation.mark(connection, PRICES, "conversation", costs)
    keep_home_values(connection, now)


def _fingerprints(settings: Settings) -> dict[str, str]:
    """Return what marts depend on beside core, as hashes: SQL and settings, and the rate card."""
    prices = settings_tables.prices_of(settings)
    return {
        "marts": fingerprint(settings),
        "rates": xxh3_128_hexdigest(repr(prices).encode()),
        "campaign_gap_hours": str(settings.campaign_gap_hours),
        "timezone": settings.timezone,  # views read it
    }


def in_order() -> tuple[Scope, ...]:
    """Return the scopes in the order of computing; those of a part follow what that is a part of.

    Prices are right before days are made of them: conversations can mark others that are priced
    otherwise because of them.
    """
    conversation, day, contact = WHOLE
    priced, *rest = (replace(scope, consumer=PRICES) for scope in WHOLE)
    return (conversation, priced, day, contact, replace(contact, kind=invalidation.ACTIVITY), *rest)


def with_numbers(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, Scope]]:
    """Yield the scopes in the order of computing, each with the number of its outdated keys.

    Only conversations mark keys of other scopes, so that the rest is counted together, and once
    more where a scope before it may have computed them, too.
    """
    conversation, priced, *rest = in_order()
    for scope in (conversation, priced):
        yield _number(connection, scope), scope
    rows = connection.execute(
        f"SELECT consumer, kind, count(*) FROM {staging.marks(connection)} GROUP BY ALL"
    ).fetchall()
    numbers = {(consumer, kind): number for consumer, kind, number in rows}
    computed = set()
    for scope in rest:
        number = numbers.get((scope.consumer, scope.kind), 0)
        if number and scope.of in computed:
            number = _number(connection, scope)
        if number:
            computed.add(scope.of)
        yield number, scope


def _number(connection: duckdb.DuckDBPyConnection, scope: Scope) -> int:
    return scalar(connection, f"SELECT count(*) {scope.outdated(connection)}")


def forget_parts(
    connection: duckdb.DuckDBPyConnection, scope: Scope, keys: str, given: str | list[str] | None
) -> None:
    """Unmark keys for scopes that compute a part of what was computed of them.

    Args:
        connection: inside the transaction.
        scope: of the keys.
        keys: a SELECT of them.
        given: its parameter, ``$given``.
    """
    every = in_order()
    for part in every[every.index(scope) + 1 :]:
        outdated = part.outdated(connection)
        if part.of == scope.of and exists(connection, outdated):
            connection.execute(f"DELETE {outdated} AND key IN ({keys})", {"given": given})


class Chunks:
    """Where the chunks of outdated keys end: found once for all of a scope's.

    To count the messages of each key, those of all must be read.
    """

    def __init__(self) -> None:
        #: Last keys of chunks, and how many keys were outdated then, by consumer and kind.
        self._known: dict[tuple[str, str], tuple[list[str], int]] = {}

    def end(self, connection: duckdb.DuckDBPyConnection, scope: Scope, number: int) -> str | None:
        """Return the last key of the first chunk of a scope's keys; None = all are one chunk.

        Args:
            connection: inside a transaction.
            scope: of the keys.
            number: how many are outdated; where they have become more, chunks are made anew.
        """
        which = scope.consumer, scope.kind
        ends, before = self._known.get(which, ([], 0))
        if number > before:
            ends = _ends(connection, scope)
        self._known[which] = ends, number
        ((first,),) = connection.execute(f"SELECT min(key) {scope.outdated(connection)}").fetchall()
        return next((end for end in ends if end >= first), None)


def _ends(connection: duckdb.DuckDBPyConnection, scope: Scope) -> list[str]:
    """Return the last key of each chunk of a scope's keys but the last chunk's."""
    rows = connection.execute(
        "SELECT max(key) AS last FROM (SELECT key, sum(1 + coalesce(weight, 0)) OVER (ORDER BY key)"
        f" AS upto FROM (SELECT key {scope.outdated(connection)}) "
        f"LEFT JOIN (SELECT {scope.message_key} AS key, count(*) AS weight FROM core.messages "
        f"GROUP BY ALL) USING (key)) GROUP BY (upto - 1) // {CHUNK * scope.times} ORDER BY last"
    ).fetchall()
    return [last for (last,) in rows[:-1]]


def next_chunk(connection: duckdb.DuckDBPyConnection) -> tuple[Scope, list[str]]:
    """Return the first scope with outdated keys, and the keys of its first chunk."""
    for scope in in_order():
        keys = [
            key
            for (key,) in connection.execute(
                f"SELECT DISTINCT key {scope.outdated(connection)}"
            ).fetchall()
        ]
        if keys:
            upto = Chunks().end(connection, scope, len(keys)) if len(keys) > scope.few else None
            return scope, sorted(key for key in keys if upto is None or key <= upto)
    return WHOLE[0], []
