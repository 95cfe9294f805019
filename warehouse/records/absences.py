"""Records that are missing from their lists: evidence kept between runs (``ops.absences``).

One answer is weak evidence: a list can come back empty for a moment. What a list lacks is deleted
only when a second proof agrees, and the more is missing the later that proof must be taken:

* a record with an address of its own is fetched from there (`hatif.deletions`);
* a list that lost no more than half of its records is read once more in the same run;
* an empty list, or one that lost more, waits for a later run;
* while the parent still counts more records than the list shows, nothing is deleted.

``proof`` is what is known: NULL, missing from a certified list; ``gone``, its own address
answered 404 but the brake held; ``alive``, its own address answered although its parent is deleted;
``deleted``, marked deleted on the evidence of its list alone, which is read again a day later;
``moved``, missing from its list, and another list has shown it before (`several_lists`).
Temporary relations: ``lost``, the records in question with their parents; ``noted``, their rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from hatif.sink import Certificate, Missing, Suspects, Weighed
from hatif.streams import STREAMS, Stream
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists
from warehouse.models.model import main_model
from warehouse.queue import cursors
from warehouse.queue.plan import ABSENCE_DUE
from warehouse.records import scans, tombstones


class Absences:
    """What is known of missing records, and how they are marked deleted, in one run.

    Args:
        lake: open for writing, tables made.
        run_id: noted with the evidence.
    """

    def __init__(self, lake: Lake, run_id: str) -> None:
        self._lake = lake
        self._run_id = run_id
        self._deleted: Counter[str] = Counter()

    def still_missing(self, stream: Stream, missing: Sequence[Missing]) -> list[Missing]:
        """Return the missing records that no other list of the stream has shown since.

        A record that moved (a conversation to another channel) is missing where it was until the
        list that it is in now has been read.
        """
        with self._lake.reading() as connection:
            _register(connection, missing)
            rows = connection.execute(
                "SELECT record_id, max_by(r.parent_id, seq) AS parent, "
                "any_value(lost.parent_id) AS was "
                "FROM raw.records r JOIN lost USING (record_id) WHERE stream = ? "
                "GROUP BY record_id "
                "HAVING parent IS NOT DISTINCT FROM was AND max_by(op, seq) <> 'tombstone'",
                [stream.name],
            ).fetchall()
            connection.unregister("lost")
        return [Missing(record_id, parent) for record_id, parent, _ in rows]

    def weigh(self, stream: Stream, missing: Sequence[Missing]) -> Weighed:
        """Return what the evidence is worth against records without addresses of their own.

        Lists whose evidence waits for a second proof lose their certificates.

        Args:
            stream: whose records they are.
            missing: absent from whole, certified lists of this run.
        """
        found: dict[str, list[Missing]] = {"proven": [], "look": [], "wait": []}
        with self._lake.reading() as connection:
            _register(connection, missing)
            rows = connection.execute(
                _weighing(stream.name), {"stream": stream.name, "run_id": self._run_id}
            ).fetchall()
            connection.unregister("lost")
        for record_id, parent, outcome in rows:
            found[outcome].append(Missing(record_id, parent))
        if found["wait"]:
            self._lake.write(
                f"note lists of {stream.name} in doubt",
                lambda c: scans.withdraw(c, stream.name, found["wait"], self._run_id),
            )
        return Weighed(found["proven"], found["look"], found["wait"])

    def suspects(self, stream: Stream) -> Suspects:
        """Return the living records that are to be fetched from their own addresses.

        Those that were proven to be gone while the brake held; and those whose parent is deleted,
        less those found alive a while ago.
        """
        with self._lake.reading() as connection:
            held = connection.execute(
                "SELECT record_id FROM ops.absences WHERE stream = ? AND proof = 'gone' "
                "ORDER BY ALL",
                [stream.name],
            ).fetchall()
            orphans = connection.execute(_orphans(stream)).fetchall() if stream.parent else []
        return Suspects(
            [record_id for (record_id,) in held], [record_id for (record_id,) in orphans]
        )

    def note_absent(
        self, stream: Stream, records: Sequence[Missing], proof: str | None = None
    ) -> None:
        """Keep evidence for later runs.

        Args:
            stream: whose records they are.
            records: with the parents of the lists that lack them, where a list does.
            proof: see this module's docstring.
        """
        self._lake.write(
            f"note what is missing of {stream.name}",
            lambda c: note(c, stream.name, records, self._run_id, proof),
        )

    def keep_count(self, stream: Stream, missing: Sequence[Missing]) -> None:
        """Let the cursors expect that these records stay stored though their lists lack them."""

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            _register(connection, missing)
            connection.execute(
                "UPDATE ops.cursors SET surplus = surplus - (SELECT count(*) FROM lost "
                "WHERE lost.parent_id IS NOT DISTINCT FROM cursors.parent_id) "
                "WHERE stream = ? AND surplus IS NOT NULL",
                [stream.name],
            )
            connection.unregister("lost")

        self._lake.write(f"keep the count of {stream.name}", work)

    def brake(self, stream: Stream, deletions: int, share: float | None) -> None:
        """Raise BrakeHeld for more deletions than the brake allows, see `tombstones.brake`."""
        with self._lake.reading() as connection:
            live = tombstones.count_live(connection, stream.name)
        tombstones.brake(stream.name, live, deletions, share, marked=self._deleted[stream.name])

    def mark_deleted(
        self, stream: Stream, record_ids: Sequence[str], share: float | None
    ) -> dict[str, int]:
        """Mark records deleted, and all their descendants; return how many, by stream.

        Args:
            stream: whose records they are.
            record_ids: proven to be gone.
            share: the brake on the run as a whole, see `tombstones.brake`; None lifts it.

        Raises:
            BrakeHeld: too many; nothing was marked.
        """
        name = stream.name

        def work(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int]:
            marked = self._deleted[name]
            deleted = tombstones.mark_deleted(connection, name, record_ids, share, marked)
            if stream.own_path is None:
                dead = _with_parents(connection, name, record_ids)
                note(connection, name, dead, self._run_id, "deleted")
            return deleted

        deleted, counted = self._lake.write(f"mark deleted {name}", work)
        self._deleted[name] += counted
        return deleted


def advance(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    ended: Sequence[Certificate],
    missing: Sequence[Missing],
    sightings: pa.Table,
    run_id: str,
) -> None:
    """Bring the evidence up to a batch: forget what its lists show, keep what they lack.

    Args:
        connection: inside the batch's transaction, its rejects written.
        stream: whose lists they are.
        ended: the scans that ended with the batch.
        missing: live records that the certified ones among them did not meet.
        sightings: with a column record_id.
        run_id: of this run.
    """
    absences = f"FROM ops.absences WHERE stream = '{stream.name}'"
    if exists(connection, absences):
        connection.register("sighted", sightings)
        connection.execute(f"DELETE {absences} AND record_id IN (SELECT record_id FROM sighted)")
        connection.unregister("sighted")
    _note_unweighed(connection, stream, missing, run_id)
    # Deletions that lists, read whole a day later, have confirmed.
    settled = f"{absences} AND proof = 'deleted' AND {ABSENCE_DUE}"
    if exists(connection, settled):
        whole = [c.parent_id for c in ended if c.whole and c.verdict.certified]
        connection.execute(f"DELETE {settled} AND list_contains(?, parent_id)", [whole])


def _weighing(stream: str) -> str:
    """SQL: each record of the relation ``lost`` with what is to become of it."""
    model, entry = main_model(stream), STREAMS[stream]
    parent = model.parent or "NULL::VARCHAR"
    expected = "SELECT NULL::VARCHAR AS parent_id, NULL::BIGINT AS expected"
    if entry.parent_count is not None and entry.parent is not None:
        above = main_model(entry.parent)
        expected = (
            f"SELECT {above.replace} AS parent_id, {entry.parent_count} AS expected "
            f"FROM {above.table} WHERE {cursors.counts_agree(stream)}"
        )
    return f"""
        WITH living AS (
            SELECT {parent} AS parent_id, count(*) AS known FROM {model.table}
            WHERE deleted_at IS NULL GROUP BY ALL
        ), lists AS (
            SELECT l.parent_id, count(*) AS absent, any_value(known) - count(*) AS shown
            FROM lost l JOIN living ON living.parent_id IS NOT DISTINCT FROM l.parent_id
            GROUP BY l.parent_id
        )
        SELECT l.record_id, l.parent_id, CASE
            WHEN expected > shown THEN 'wait'
            WHEN a.run_id <> $run_id THEN 'proven'
            WHEN expected <= shown OR (shown > 0 AND absent <= shown) THEN 'look'
            ELSE 'wait' END
        FROM lost l
        JOIN lists ON lists.parent_id IS NOT DISTINCT FROM l.parent_id
        LEFT JOIN ({expected}) e ON e.parent_id = l.parent_id
        LEFT JOIN ops.absences a
            ON a.stream = $stream AND a.record_id = l.record_id AND a.proof IS NULL
        ORDER BY ALL
    """


def _orphans(stream: Stream) -> str:
    """SQL: the living records whose parent is deleted, less those found alive a while ago."""
    model, above = main_model(stream.name), main_model(stream.parent or "")
    return (
        f"SELECT t.{model.replace} FROM {model.table} t "
        f"JOIN {above.table} p ON p.{above.replace} = t.{model.parent} "
        "WHERE t.deleted_at IS NULL AND p.deleted_at IS NOT NULL "
        f"AND t.{model.replace} NOT IN (SELECT record_id FROM ops.absences "
        f"WHERE stream = '{stream.name}' AND coalesce(proof, '') <> 'moved' "
        f"AND NOT {ABSENCE_DUE}) ORDER BY ALL"
    )


def note(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    records: Sequence[Missing],
    run_id: str,
    proof: str | None,
) -> None:
    """Note what is known of absent records; when they were first missed stays as it was.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        records: with the parents of the lists that lack them, where a list does.
        run_id: of this run.
        proof: see this module's docstring.
    """
    if not records:
        return
    _register(connection, records)
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE noted AS
        SELECT $stream AS stream, any_value(l.parent_id) AS parent_id, l.record_id,
            coalesce(min_by(a.run_id, a.missing_since), $run_id) AS run_id,
            coalesce(min(a.missing_since), now()) AS missing_since, now() AS checked_at,
            $proof::VARCHAR AS proof
        FROM lost l LEFT JOIN ops.absences a ON a.stream = $stream AND a.record_id = l.record_id
        GROUP BY l.record_id
        """,
        {"stream": stream, "run_id": run_id, "proof": proof},
    )
    connection.unregister("lost")
    connection.execute(
        "DELETE FROM ops.absences WHERE stream = ? AND record_id IN (SELECT record_id FROM noted)",
        [stream],
    )
    connection.execute("INSERT INTO ops.absences BY NAME FROM noted")


def _note_unweighed(
    connection: duckdb.DuckDBPyConnection, stream: Stream, missing: Sequence[Missing], run_id: str
) -> None:
    """Keep the evidence of a batch with its cursors: the run may end before it is weighed.

    Records with addresses of their own need none: their lists are read in every run, and counted.
    Lists that hold bad records prove nothing: one of these may be what is missing.
    """
    if not missing or stream.own_path is not None:
        return
    paths = {one.parent_id: stream.list_path(one.parent_id) for one in missing}
    rows = connection.execute(
        "SELECT DISTINCT location FROM ops.rejects WHERE stream = ? AND source = 'api' "
        "AND replayed_at IS NULL AND list_contains(?, location)",
        [stream.name, list(paths.values())],
    ).fetchall()
    bad = {location for (location,) in rows}
    evidence = [one for one in missing if paths[one.parent_id] not in bad]
    note(connection, stream.name, evidence, run_id, None)


def _with_parents(
    connection: duckdb.DuckDBPyConnection, stream: str, record_ids: Sequence[str]
) -> list[Missing]:
    """Return records with the parents of the lists that they were on last."""
    rows = connection.execute(
        "SELECT record_id, max_by(parent_id, seq) FROM raw.records "
        "WHERE stream = ? AND list_contains(?, record_id) GROUP BY record_id",
        [stream, list(record_ids)],
    ).fetchall()
    return [Missing(record_id, parent) for record_id, parent in rows]


def _register(connection: duckdb.DuckDBPyConnection, missing: Sequence[Missing]) -> None:
    text = pa.string()
    connection.register(
        "lost",
        pa.table(
            {
                "record_id": pa.array([m.record_id for m in missing], text),
                "parent_id": pa.array([m.parent_id for m in missing], text),
            }
        ),
    )
