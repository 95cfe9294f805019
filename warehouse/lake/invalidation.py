"""The invalidation log: what must be recomputed because a source of it changed.

A writer of a source notes, in the same transaction, what depends on it; a consumer takes
the notes and deletes them in the transaction that stores the result. So a run killed anywhere
leaves either the note or the result, and nothing is recomputed that did not change.

There are two consumers: ``merge`` (messages and calls, from timelines and webhooks) and ``marts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import duckdb

from warehouse.lake import staging
from warehouse.models.model import main_model, merged_models, models, models_of

#: Calls that belong to no conversation are computed together, as if those of this one.
NO_CONVERSATION = ""
#: The kind of contacts' keys where not they changed, but what they did.
ACTIVITY = "activity"


@cache
def marks_of(stream: str) -> tuple[tuple[str, str, str], ...]:
    """Return what a stream's changed records make outdated, by what the models read.

    Returns:
        For which consumer, what kind of thing, and SQL for its key out of ``record_id`` and
        ``parent_id``. A table without a conversation or contact concerns marts as a whole.
    """
    main = main_model(stream)
    keys = {main.replace: "record_id"} | ({main.parent: "parent_id"} if main.parent else {})
    tables = {model.table for model in models_of(stream)}
    found = []
    if any(tables & set(model.made_of) for model in merged_models()):
        found.append(("merge", "conversation", keys["conversation_id"]))
    if any(tables & model.sources for model in models("marts") if not model.is_view):
        for kind in ("conversation", "contact"):
            if f"{kind}_id" in keys:
                found.append(("marts", kind, keys[f"{kind}_id"]))
                break
        else:
            found.append(("marts", "stream", f"'{stream}'"))
    return tuple(found)


def mark_records(connection: duckdb.DuckDBPyConnection, stream: str, relation: str) -> None:
    """Mark what the records in a relation with record_id and parent_id make outdated."""
    for consumer, kind, key in marks_of(stream):
        mark(connection, consumer, kind, f"SELECT {key} AS key FROM {relation}")


def mark(connection: duckdb.DuckDBPyConnection, consumer: str, kind: str, keys: str) -> None:
    """Note the keys that a SELECT with a column ``key`` yields; those noted already stay single.

    Args:
        connection: inside the transaction that changes the source.
        consumer: who has to compute, `merge` or `marts`.
        kind: of what the keys are: `conversation`, `contact`, `call`, `stream`, ….
        keys: the SELECT.
    """
    mark_all(connection, consumer, {kind: keys})


def mark_all(connection: duckdb.DuckDBPyConnection, consumer: str, keys: Mapping[str, str]) -> None:
    """Note keys of several kinds, each a SELECT as for `mark`, in one statement.

    Nothing is bound, since that makes DuckDB load pandas, a third of a second. What is noted is
    compared as one text, not by its columns: DuckLake would prune their files by the keys, and its
    catalog refuses one with a NUL.
    """
    found = " UNION ALL ".join(
        f"SELECT DISTINCT '{kind}' AS kind, key FROM ({select})" for kind, select in keys.items()
    )
    marks = staging.marks(connection)
    connection.execute(
        f"INSERT INTO {marks} SELECT '{consumer}', kind, key FROM ({found}) "
        "WHERE key IS NOT NULL AND concat_ws(' ', kind, key) NOT IN "
        f"(SELECT concat_ws(' ', kind, key) FROM {marks} WHERE consumer = '{consumer}')"
    )
