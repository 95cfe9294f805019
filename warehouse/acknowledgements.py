"""Rejects accepted as they are by a person, ``ops.acknowledgements``.

What is acknowledged stays set aside and is shown, but is no failure of a run any more. Every
acknowledgement names who gave it and why, and can be withdrawn; none is ever removed.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from hatif.errors import SettingsError
from hatif.streams import STREAMS
from warehouse.lake.sql import scalar

#: An id may be shortened to so many characters.
SHORTEST_ID = 6
#: The rejects whose acknowledgement is in force.
IN_FORCE = "(SELECT reject_id FROM ops.acknowledgements WHERE withdrawn_at IS NULL)"
_OPEN = "SELECT reject_id FROM ops.rejects WHERE replayed_at IS NULL"


def find(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[str], stream: str | None
) -> list[str]:
    """Return the open rejects that are meant, by ids that may be shortened, or a stream's all.

    Raises:
        SettingsError: nothing is meant, an id names none or several, or there is no such stream.
    """
    if not ids and stream is None:
        raise SettingsError("say which: ids as shown by `hatif rejects`, or --stream")
    found = []
    for short in ids:
        rows = connection.execute(
            f"{_OPEN} AND starts_with(reject_id, ?) LIMIT 2", [short.strip().lower()]
        ).fetchall()
        if len(short.strip()) < SHORTEST_ID or len(rows) != 1:
            many = "several rejects" if len(rows) > 1 else "no open reject"
            raise SettingsError(
                f"{short[:80]!r} names {many}; ids are shown by `hatif rejects`, and "
                f"{SHORTEST_ID} characters or more of one will do"
            )
        found.append(rows[0][0])
    if stream is not None:
        _require_known(connection, stream)
        rows = connection.execute(f"{_OPEN} AND stream = ?", [stream]).fetchall()
        found += [reject_id for (reject_id,) in rows]
    return list(dict.fromkeys(found))


def _require_known(connection: duckdb.DuckDBPyConnection, stream: str) -> None:
    """See that a stream is one of the service's, or one that rejects name."""
    rows = connection.execute("SELECT DISTINCT stream FROM ops.rejects ORDER BY ALL").fetchall()
    known = [*STREAMS, *(name for (name,) in rows if name not in STREAMS)]
    if stream not in known:
        raise SettingsError(
            f"--stream: no stream is called {stream[:80]}; there are {', '.join(known)}"
        )


def acknowledge(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[str], who: str, why: str
) -> int:
    """Acknowledge rejects, inside a transaction; return how many were not yet."""
    new = connection.execute(
        "SELECT reject_id FROM ops.rejects WHERE list_contains($ids, reject_id) "
        f"AND reject_id NOT IN {IN_FORCE}",
        {"ids": list(ids)},
    ).fetchall()
    connection.execute(
        "INSERT INTO ops.acknowledgements BY NAME SELECT unnest($ids) AS reject_id, "
        "now() AS acknowledged_at, $who AS acknowledged_by, $why AS why",
        {"ids": [reject_id for (reject_id,) in new], "who": who, "why": why},
    )
    return len(new)


def withdraw(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], who: str) -> int:
    """Withdraw acknowledgements, inside a transaction; return how many were in force."""
    return scalar(
        connection,
        "UPDATE ops.acknowledgements SET withdrawn_at = now(), withdrawn_by = $who "
        "WHERE withdrawn_at IS NULL AND list_contains($ids, reject_id)",
        {"ids": list(ids), "who": who},
    )


def count(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> int:
    """Return how many of these rejects are acknowledged."""
    return scalar(
        connection,
        f"SELECT count(*) FROM {IN_FORCE} WHERE list_contains($ids, reject_id)",
        {"ids": list(ids)},
    )
