"""Records that were set aside are read again without a request, until they are sound.

A child list in which a record was set aside is read again from beginning to end (``ops.hints``): at
the next run, then after as long a time as the record has been bad, between five minutes and a day,
so that a service that is well again repairs what it had sent in another form. A list that is
read whole without meeting a record that was set aside settles it. What is acknowledged is not read
again for its own sake, and what has no parent is read whole often enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.sink import Batch
from hatif.wire import Reject
from warehouse import rejects
from warehouse.lake.sql import exists


def advance(
    connection: duckdb.DuckDBPyConnection, batch: Batch, set_aside: Sequence[Reject]
) -> None:
    """Settle what the lists that ended no longer hold; plan the others that hold bad records.

    Args:
        connection: inside the batch's transaction, its cursors moved and its rejects written.
        batch: whose lists were read.
        set_aside: its bad records.
    """
    name = batch.stream.name
    if not exists(connection, f"FROM ops.rejects WHERE stream = '{name}' AND replayed_at IS NULL"):
        return
    whole = {c.parent_id: c.started_at for c in batch.ended if c.whole and c.verdict.certified}
    if whole:
        _register(connection, batch, list(whole))
        began = pa.array(list(whole.values()), pa.timestamp("us", "UTC"))
        connection.register("began", pa.table({"parent_id": _text(list(whole)), "at": began}))
        rejects.settle(
            connection,
            f"stream = '{name}' AND source = 'api' AND EXISTS (FROM lists JOIN began "
            "ON began.parent_id IS NOT DISTINCT FROM lists.parent_id "
            "WHERE lists.location = rejects.location "
            "AND coalesce(rejects.last_seen_at, rejects.first_seen_at) < began.at)",
        )
        connection.unregister("began")
        connection.unregister("lists")
    if set_aside and batch.stream.parent is not None:
        _register(connection, batch, [scanned.certificate.parent_id for scanned in batch.pages])
        connection.execute(_PLAN, {"stream": name})
        connection.unregister("lists")


def _register(
    connection: duckdb.DuckDBPyConnection, batch: Batch, parents: Sequence[str | None]
) -> None:
    """Make the relation ``lists``: parent_id and location, as rejects name it."""
    parents = list(dict.fromkeys(parents))
    locations = [batch.stream.list_path(parent) for parent in parents]
    connection.register(
        "lists", pa.table({"parent_id": _text(parents), "location": _text(locations)})
    )


def _text(values: Sequence[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


_PLAN = """
    INSERT INTO ops.hints BY NAME
    SELECT $stream AS stream, l.parent_id, true AS whole,
        now() + CASE WHEN min(r.first_seen_at) < now() THEN
            least(greatest(now() - min(r.first_seen_at), INTERVAL 5 MINUTE), INTERVAL 1 DAY)
        ELSE INTERVAL 0 DAY END AS hinted_at
    FROM ops.rejects r JOIN lists l USING (location)
    WHERE r.stream = $stream AND r.source = 'api' AND r.replayed_at IS NULL
        AND r.reject_id NOT IN (
            SELECT reject_id FROM ops.acknowledgements WHERE withdrawn_at IS NULL)
        AND l.parent_id NOT IN (SELECT parent_id FROM ops.hints WHERE stream = $stream AND whole)
    GROUP BY l.parent_id
"""
