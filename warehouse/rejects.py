"""What was set aside, ``ops.rejects``: stored once, opened again when it is met again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from hatif.wire import Reject
from warehouse.lake.sql import exists

_SCHEMA = pa.schema(
    [
        ("reject_id", pa.string()),
        ("stream", pa.string()),
        ("reason", pa.string()),
        ("raw", pa.string()),
        ("location", pa.string()),
        ("received_at", pa.timestamp("us", "UTC")),
        ("signature", pa.string()),
        ("is_stated", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record or event set aside.

    Attributes:
        received_at: of an event whose `raw` is all of it, so that it can be judged again.
        signature: as sent with it.
        is_stated: an envelope stated `received_at`; None where that does not matter.
    """

    reject_id: str
    stream: str
    reason: str
    raw: str
    location: str
    received_at: datetime | None = None
    signature: str | None = None
    is_stated: bool | None = None


def store(connection: duckdb.DuckDBPyConnection, source: str, found: Sequence[Rejected]) -> None:
    """Write what was set aside, inside a transaction.

    What is known is not written again; what had been replayed and is bad again is open again.

    Args:
        connection: inside a transaction.
        source: api or webhook.
        found: in any order, with repetitions.
    """
    if not found:
        return
    rows = {reject.reject_id: reject for reject in found}
    table = pa.Table.from_pylist(
        [{name: getattr(reject, name) for name in _SCHEMA.names} for reject in rows.values()],
        schema=_SCHEMA,
    )
    connection.register("found", table)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT reject_id, replayed_at FROM ops.rejects "
        "WHERE reject_id IN (SELECT reject_id FROM found)"
    )
    connection.execute(
        "INSERT INTO ops.rejects BY NAME SELECT *, $source AS source, now() AS first_seen_at "
        "FROM found WHERE reject_id NOT IN (SELECT reject_id FROM known)",
        {"source": source},
    )
    connection.unregister("found")
    replayed = "FROM known WHERE replayed_at IS NOT NULL"
    if exists(connection, replayed):
        connection.execute(
            "UPDATE ops.rejects SET replayed_at = NULL "
            f"WHERE reject_id IN (SELECT reject_id {replayed})"
        )


def store_records(connection: duckdb.DuckDBPyConnection, found: Sequence[Reject]) -> None:
    """Write records of the API that were set aside, see `store`."""
    store(
        connection,
        "api",
        [Rejected(r.reject_id, r.stream, r.reason, r.raw, r.location) for r in found],
    )


def settle(connection: duckdb.DuckDBPyConnection, which: str) -> None:
    """Mark open rejects as replayed; run inside a transaction.

    Args:
        connection: inside a transaction.
        which: an SQL condition on ``ops.rejects``.
    """
    condition = f"replayed_at IS NULL AND {which}"
    if exists(connection, f"FROM ops.rejects WHERE {condition}"):
        connection.execute(f"UPDATE ops.rejects SET replayed_at = now() WHERE {condition}")


def listed(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the open rejects, oldest first."""
    cursor = connection.execute(
        "SELECT reject_id, source, stream, reason, location, first_seen_at, raw FROM ops.rejects "
        "WHERE replayed_at IS NULL ORDER BY first_seen_at, reject_id"
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
