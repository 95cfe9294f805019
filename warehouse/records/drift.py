"""Drift: undocumented keys and codes of the service, noted once with the first example.

New keys and codes lose nothing (raw keeps them, ``unknown:`` shows them) and stop nothing. A
changed clock and pages without ids stop their stream, and are noted too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from warehouse.models.model import Model

#: Kinds whose stream stops.
STOPS = frozenset({"clock", "ids"})
#: Things kept of one stream and kind: an object with keys of its own in each record has no end.
MOST = 300
_LONGEST = 80
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is new.

    Attributes:
        kind: `key`, `code`, `clock` or `ids`.
        what: the key; the column and code; or the message that the stream stopped with.
        example: id of the first record that showed it, None where none can be named.
    """

    kind: str
    what: str
    example: str | None
    first_seen_at: datetime


def note(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    kind: str,
    found: Iterable[tuple[str, str | None]],
) -> None:
    """Note what was found, each thing with an example; what is known is not noted again.

    Control characters are left out: DuckLake puts the text into statements for its catalog. Beyond
    `MOST` things of a stream and kind nothing more is noted; raw has it all.
    """
    examples: dict[str, str | None] = {}
    for sent, example in found:
        examples.setdefault(_CONTROL.sub("", sent)[:_LONGEST], example)
    if not examples:
        return
    text = pa.string()
    table = {
        "n": pa.array(range(len(examples)), pa.int64()),
        "what": pa.array(list(examples), text),
        "example": pa.array(list(examples.values()), text),
    }
    connection.register("met", pa.table(table))
    connection.execute(
        """
        INSERT INTO ops.drift BY NAME
        WITH known AS (SELECT what FROM ops.drift WHERE stream = $stream AND kind = $kind)
        SELECT $stream AS stream, $kind AS kind, what, example, now() AS first_seen_at FROM met
        WHERE what NOT IN (FROM known) ORDER BY n LIMIT (SELECT greatest($most - count(*), 0)
            FROM known)
        """,
        {"stream": stream, "kind": kind, "most": MOST},
    )
    connection.unregister("met")


def note_codes(
    connection: duckdb.DuckDBPyConnection, stream: str, model: Model, relation: str, key: str
) -> None:
    """Note the codes in typed rows that no table knows, each with the first row that has it.

    Args:
        connection: inside a transaction.
        stream: whose codes they are.
        model: that the rows were typed by.
        relation: the rows.
        key: their column that is the example.
    """
    if not model.enumerations:
        return
    searched = " UNION ALL ".join(
        f"SELECT '{column} ' || {column}[9:] AS what, min({key}) AS example FROM {relation} "
        f"WHERE starts_with({column}, 'unknown:') GROUP BY ALL"
        for column in model.enumerations
    )
    note(connection, stream, "code", connection.execute(searched).fetchall())


def stopped(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the streams that a changed service stopped."""
    rows = connection.execute("SELECT DISTINCT stream, kind FROM ops.drift").fetchall()
    return {stream for stream, kind in rows if kind in STOPS}


def forget_stop(connection: duckdb.DuckDBPyConnection, stream: str) -> None:
    """Forget what stopped a stream, now that it was read well."""
    connection.execute(
        "DELETE FROM ops.drift WHERE stream = ? AND list_contains(?, kind)",
        [stream, sorted(STOPS)],
    )


def by_stream(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Drift]]:
    """Return all that is new in each stream that has anything new, the earliest first."""
    found: dict[str, list[Drift]] = {}
    for stream, *row in connection.execute(
        "SELECT stream, kind, what, example, first_seen_at FROM ops.drift "
        "ORDER BY first_seen_at, what"
    ).fetchall():
        found.setdefault(stream, []).append(Drift(*row))
    return found
