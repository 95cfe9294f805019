"""The invalidation log: what must be recomputed because a source of it changed.

A writer of a source notes, in the same transaction, what depends on it; a consumer takes
the notes and deletes them in the transaction that stores the result. So a run killed anywhere
leaves either the note or the result, and nothing is recomputed that did not change.

There are two consumers: ``merge`` (messages and calls, from timelines and webhooks) and ``marts``.
"""

from __future__ import annotations

import duckdb

#: What a stream's changed records make outdated: for which consumer, what kind of thing, and the
#: column that names it. Streams not named here concern the marts as a whole.
_BY_STREAM = {
    "timelines": ("merge", "conversation", "parent_id"),
    "conversations": ("marts", "conversation", "record_id"),
    "contacts": ("marts", "contact", "record_id"),
    "contact_history": ("marts", "contact", "parent_id"),
}


#: Calls that belong to no conversation are computed together, as if those of this one.
NO_CONVERSATION = ""


def mark_records(connection: duckdb.DuckDBPyConnection, stream: str, relation: str) -> None:
    """Note what the records in a relation with record_id and parent_id make outdated."""
    consumer, kind, key = _BY_STREAM.get(stream, ("marts", "stream", f"'{stream}'"))
    mark(connection, consumer, kind, f"SELECT {key} AS key FROM {relation}")


def mark(connection: duckdb.DuckDBPyConnection, consumer: str, kind: str, keys: str) -> None:
    """Note the keys that a SELECT with a column ``key`` yields; those noted already stay single.

    Nothing is bound, since that makes DuckDB load pandas, a third of a second.

    Args:
        connection: inside the transaction that changes the source.
        consumer: who has to compute, `merge` or `marts`.
        kind: of what the keys are: `conversation`, `contact`, `call`, `stream`, ….
        keys: the SELECT.
    """
    connection.execute(
        f"INSERT INTO ops.outdated SELECT '{consumer}', '{kind}', key "
        f"FROM (SELECT DISTINCT key FROM ({keys})) WHERE key IS NOT NULL AND key NOT IN "
        f"(SELECT key FROM ops.outdated WHERE consumer = '{consumer}' AND kind = '{kind}')"
    )
