"""Scans that a run did not end: where they stood and what they had seen, kept beside their rows.

A long list is read over several batches, or several runs where a run's allowance is short. Each
batch leaves the position of the scans that go on, and the ids that they met, in its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from hatif.certificate import Certificate, Position, ScannedPage, Unfinished
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists

#: A position older than this is no use: too much of what was seen may have changed since.
_KEEPS = timedelta(hours=24)
_WAITING = "FROM ops.unfinished_scans"  # seldom any


def keep(
    connection: duckdb.DuckDBPyConnection,
    pages: Sequence[ScannedPage],
    ended: Sequence[Certificate],
    sightings: pa.Table,
) -> None:
    """Keep the positions of scans that have pages in the batch but go on; forget the ended ones.

    Args:
        connection: inside the batch's transaction.
        pages: of the batch.
        ended: the scans that ended with it.
        sightings: columns scan_id, pass, record_id.
    """
    over = {certificate.scan_id for certificate in ended}
    going_on = {
        scanned.certificate.scan_id: scanned
        for scanned in pages
        if scanned.certificate.scan_id not in over
    }
    _forget(connection, ended)
    if not going_on:
        return
    table = pa.table(
        {
            "scan_id": list(going_on),
            "stream": [s.certificate.stream for s in going_on.values()],
            "parent_id": pa.array(
                [s.certificate.parent_id for s in going_on.values()], pa.string()
            ),
            "certificate": [_json(s.certificate) for s in going_on.values()],
            "position": [_json(s.position) for s in going_on.values()],
        }
    )
    connection.register("going_on", table)
    connection.register("sighted", sightings)
    connection.execute(
        "DELETE FROM ops.unfinished_scans WHERE scan_id IN (SELECT scan_id FROM going_on)"
    )
    connection.execute(
        "INSERT INTO ops.unfinished_scans BY NAME SELECT *, now() AS updated_at FROM going_on"
    )
    connection.execute(
        "INSERT INTO ops.sightings SELECT scan_id, pass, record_id FROM sighted "
        "WHERE scan_id IN (SELECT scan_id FROM going_on)"
    )
    connection.unregister("sighted")
    connection.unregister("going_on")


def _forget(connection: duckdb.DuckDBPyConnection, ended: Sequence[Certificate]) -> None:
    """Forget the lists whose scans ended, and other scans of these lists that never did."""
    if not ended or not exists(connection, _WAITING):
        return
    connection.register(
        "ended",
        pa.table(
            {
                "stream": [c.stream for c in ended],
                "parent_id": pa.array([c.parent_id for c in ended], pa.string()),
            }
        ),
    )
    connection.execute(
        "DELETE FROM ops.unfinished_scans u WHERE EXISTS (FROM ended e WHERE e.stream = u.stream "
        "AND e.parent_id IS NOT DISTINCT FROM u.parent_id)"
    )
    connection.execute(
        "DELETE FROM ops.sightings WHERE scan_id NOT IN (SELECT scan_id FROM ops.unfinished_scans)"
    )
    connection.unregister("ended")


def unfinished(lake: Lake, stream: str) -> dict[str | None, Unfinished]:
    """Return the scans of a stream that earlier runs did not end, by parent."""
    with lake.reading() as connection:
        if not exists(connection, _WAITING):
            return {}
        rows = connection.execute(
            "SELECT parent_id, certificate, position FROM ops.unfinished_scans "
            "WHERE stream = $stream AND updated_at BETWEEN now() - to_seconds($keeps) "
            "AND now() + to_seconds($keeps) ORDER BY updated_at",
            {"stream": stream, "keeps": _KEEPS.total_seconds()},
        ).fetchall()
    found: dict[str | None, Unfinished] = {}
    for parent, certificate, position in rows:
        scan = msgspec.json.decode(certificate, type=Certificate)

        def seen(number: int, scan_id: str = scan.scan_id) -> list[str]:
            return _seen(lake, scan_id, number)

        found[parent] = Unfinished(scan, msgspec.json.decode(position, type=Position), seen)
    return found


def _seen(lake: Lake, scan_id: str, number: int) -> list[str]:
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT record_id FROM ops.sightings WHERE scan_id = ? AND pass = ?", [scan_id, number]
        ).fetchall()
    return [record_id for (record_id,) in rows]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
