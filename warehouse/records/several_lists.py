"""Records that several lists show at once, as two contacts one event of a history: one keeps each.

A record moves to a list that shows it for the first time. Back to a list that it was in before it
moves only when its present list shows it no more: else each reading of either would move it. Which
lists have shown a record stands in raw, where each move is a version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from hatif.sink import Certificate, Missing
from hatif.streams import Stream
from warehouse.lake.sql import exists, literal
from warehouse.models.model import main_model
from warehouse.records import absences


@dataclass(frozen=True, slots=True)
class Lists:
    """What a batch shows of its lists.

    Attributes:
        ended: the scans that end with it.
        sightings: columns record_id, parent_id, scan_id, pass.
    """

    ended: Sequence[Certificate]
    sightings: pa.Table


#: Those of a part of a batch, or of a single record.
NO_LISTS = Lists(
    (),
    pa.schema(
        [("scan_id", pa.string()), ("pass", pa.int32()), ("record_id", pa.string())]
    ).empty_table(),
)


def choose(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    contents: pa.Table,
    others: pa.Table,
    top: int,
) -> tuple[pa.Table, int]:
    """Choose one row of each record that several lists of a batch show.

    That is the row of a list that has not shown it before, else of the record's present list. Of a
    record that is new the other lists are noted in raw, as earlier versions.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        contents: a row a record, columns as in `versions.BatchRows.contents`.
        others: further rows of some of these records.
        top: the largest ``seq`` so far.

    Returns:
        The contents to store, and the largest ``seq`` now.
    """
    if not others.num_rows:
        return contents, top
    shown: dict[str, set[str | None]] = {}
    present: dict[str, str | None] = {}
    connection.register("others", others)
    for record, parent in connection.execute(
        "SELECT record_id, parent_id FROM raw.records WHERE stream = ? AND record_id IN "
        "(SELECT record_id FROM others) ORDER BY seq",
        [stream.name],
    ).fetchall():
        shown.setdefault(record, set()).add(parent)
        present[record] = parent
    new = [record not in shown for record in others["record_id"].to_pylist()]
    connection.unregister("others")
    top = _note_earlier(connection, stream, others.filter(pa.array(new, pa.bool_())), top)
    both = pa.concat_tables([others, contents])
    best: dict[str, tuple[int, int]] = {}
    pairs = zip(both["record_id"].to_pylist(), both["parent_id"].to_pylist(), strict=True)
    for position, (record, parent) in enumerate(pairs):
        is_first_time = parent not in shown.get(record, ())
        rank = 2 if is_first_time else int(parent == present[record])
        best[record] = max(best.get(record, (0, 0)), (rank, position))
    return both.take(pa.array([position for _, position in best.values()], pa.int64())), top


def _note_earlier(
    connection: duckdb.DuckDBPyConnection, stream: Stream, rows: pa.Table, top: int
) -> int:
    """Append rows to raw as they are; return the largest ``seq`` then."""
    if rows.num_rows:
        connection.register("earlier_lists", rows)
        connection.execute(
            "INSERT INTO raw.records BY NAME SELECT $stream AS stream, record_id, parent_id, "
            "$top + row_number() OVER () AS seq, 'upsert' AS op, payload, payload_hash, scan_id, "
            "now() AS fetched_at FROM earlier_lists",
            {"stream": stream.name, "top": top},
        )
        connection.unregister("earlier_lists")
    return top + int(rows.num_rows)


def hold(connection: duckdb.DuckDBPyConnection, stream: Stream, lists: Lists) -> None:
    """Take out of ``differing`` what its present list still shows, and another one again."""
    moved = (
        "FROM differing d JOIN latest l USING (record_id) "
        "WHERE l.op <> 'tombstone' AND l.parent_id <> d.parent_id"
    )
    if stream.parent is None or not exists(connection, moved):
        return
    above, name = main_model(stream.parent), literal(stream.name)
    whole = [one for one in lists.ended if one.whole and one.verdict.certified]
    connection.register("sighted", lists.sightings)
    connection.register(
        "whole_lists",
        pa.table(
            {
                "scan_id": pa.array([one.scan_id for one in whole], pa.string()),
                "parent_id": pa.array([one.parent_id for one in whole], pa.string()),
                "pass": pa.array([one.passes for one in whole], pa.int32()),
            }
        ),
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE held AS
        WITH lists_now AS (
            SELECT record_id, w.parent_id FROM whole_lists w JOIN (
                SELECT scan_id, pass, record_id FROM sighted UNION ALL FROM ops.sightings
            ) USING (scan_id, pass)
        )
        SELECT d.record_id {moved}
            AND (d.record_id, d.parent_id) IN (
                SELECT (record_id, parent_id) FROM raw.records WHERE stream = {name})
            AND (d.record_id, l.parent_id) NOT IN (
                SELECT (record_id, parent_id) FROM ops.absences
                WHERE stream = {name} AND parent_id IS NOT NULL)
            AND l.parent_id IN (
                SELECT {above.replace} FROM {above.table} WHERE deleted_at IS NULL)
            AND (l.parent_id NOT IN (SELECT parent_id FROM whole_lists)
                OR (d.record_id, l.parent_id) IN (SELECT (record_id, parent_id) FROM lists_now))
        """
    )
    connection.unregister("whole_lists")
    connection.unregister("sighted")
    connection.execute("DELETE FROM differing WHERE record_id IN (FROM held)")


def note_lost(
    connection: duckdb.DuckDBPyConnection, stream: Stream, missing: Sequence[Missing], run_id: str
) -> list[str]:
    """Keep in mind which missing records another list may show, and have that list read.

    Returns:
        The parents of such lists, to be read before anything is made of what is missing. None of
        records with addresses of their own: their lists are read by every run.
    """
    if stream.parent is None or not missing:
        return []
    above = main_model(stream.parent)
    connection.register(
        "lost_records",
        pa.table(
            {
                "record_id": pa.array([one.record_id for one in missing], pa.string()),
                "parent_id": pa.array([one.parent_id for one in missing], pa.string()),
            }
        ),
    )
    rows = connection.execute(
        "SELECT DISTINCT l.record_id, l.parent_id, r.parent_id FROM lost_records l "
        "JOIN raw.records r USING (record_id) "
        f"JOIN {above.table} p ON p.{above.replace} = r.parent_id AND p.deleted_at IS NULL "
        "WHERE r.stream = ? AND r.parent_id <> l.parent_id",
        [stream.name],
    ).fetchall()
    connection.unregister("lost_records")
    if stream.own_path is not None:
        lost = [Missing(record, parent) for record, parent, _ in rows]
        absences.note(connection, stream.name, lost, run_id, "moved")
        return []
    others = sorted({other for _, _, other in rows})
    for other in others:
        connection.execute(
            "INSERT INTO ops.hints BY NAME SELECT ? AS stream, ? AS parent_id, now() AS hinted_at, "
            "true AS whole",
            [stream.name, other],
        )
    return others
