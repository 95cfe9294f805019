"""Rejects of webhook files closed: those of what is read again and is not bad any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import duckdb
import pyarrow as pa

from hatif.webhooks.reasons import Reason
from hatif.webhooks.sources import Place
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, literal


class Reread(NamedTuple):
    """A part of a file: what was set aside of it before is closed, unless it is bad again.

    Attributes:
        after: number of the last body before it.
        to: number of its last body; None where it is all the rest of the file, and the file itself.
    """

    after: int = 0
    to: int | None = None


def close_places(lake: Lake, place: Place) -> None:
    """Close the rejects of folders and links that can be read again; files close theirs."""
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT reject_id, location FROM ops.rejects WHERE source = 'webhook' "
            f"AND replayed_at IS NULL AND reason IN ('{Reason.UNREADABLE}', '{Reason.OUTSIDE}')"
        ).fetchall()
    ids = [reject_id for reject_id, location in rows if place.is_put_right(location)]
    if ids:
        which = f"reject_id IN ({', '.join(map(literal, ids))})"
        lake.write("settle rejects", lambda connection: rejects.settle(connection, which))


# The number of the body within its file, and the path without it.
_NUMBER = "TRY_CAST(regexp_extract(location, ':([0-9]+)$', 1) AS BIGINT)"
_PATH = "regexp_replace(location, ':[0-9]+$', '')"
_REREAD = pa.schema([("path", pa.string()), ("after", pa.int64()), ("upto", pa.int64())])


def close_reread(connection: duckdb.DuckDBPyConnection, reread: Mapping[str, Reread]) -> None:
    """Close what was set aside of files that are read anew; what is still bad opens again."""
    openly = "source = 'webhook' AND replayed_at IS NULL"
    if not reread or not exists(connection, f"FROM ops.rejects WHERE {openly}"):
        return
    parts = [{"path": path, "after": part.after, "upto": part.to} for path, part in reread.items()]
    connection.register("reread", pa.Table.from_pylist(parts, schema=_REREAD))
    rejects.settle(
        connection,
        "source = 'webhook' AND (location IN (SELECT path FROM reread WHERE upto IS NULL) "
        f"OR EXISTS (FROM reread WHERE path = {_PATH} AND after < {_NUMBER} "
        f"AND (upto IS NULL OR {_NUMBER} <= upto)))",
    )
    connection.unregister("reread")
