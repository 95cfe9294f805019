"""What a batch of records does to the lake: raw, core, scans and rejects in one transaction.

A record is appended to ``raw.records`` when it differs from its latest stored version, and only
what was appended is typed again in ``core``. The same SQL files type a batch here and everything
on a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from hatif.catalogue import Stream
from hatif.errors import HomeError
from hatif.reader import Batch, Loaded
from hatif.wire import Reject
from warehouse import core, notes, tombstones
from warehouse.lake import Lake
from warehouse.reconcile import reconcile

_PARENTS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class _Rows:
    """A batch as Arrow tables: every sighting of a record, and the last content of each."""

    sightings: pa.Table
    contents: pa.Table

    @classmethod
    def of(cls, batch: Batch) -> _Rows:
        ids: list[str] = []
        parents: list[str | None] = []
        payloads: list[bytes] = []
        scans: list[str] = []
        passes: list[int] = []
        for scanned in batch.pages:
            page, certificate = scanned.page, scanned.certificate
            ids += page.ids
            payloads += page.payloads
            parents += [certificate.parent_id] * len(page.ids)
            scans += [certificate.scan_id] * len(page.ids)
            passes += [scanned.number] * len(page.ids)
        text = pa.string()
        sightings = pa.table(
            {
                "record_id": pa.array(ids, text),
                "parent_id": pa.array(parents, text),
                "scan_id": pa.array(scans, text),
                "pass": pa.array(passes, pa.int32()),
            }
        )
        contents = sightings.select(["record_id", "parent_id", "scan_id"]).append_column(
            "payload", pa.array(payloads, pa.binary()).cast(text)
        )
        last = {record_id: position for position, record_id in enumerate(ids)}
        if len(last) < len(ids):
            contents = contents.take(pa.array(list(last.values())))
        return cls(sightings, contents)


class Loader:
    """The lake as a sink of records for one run.

    Args:
        lake: open for writing, tables made.
        run_id: noted with every scan.
    """

    def __init__(self, lake: Lake, run_id: str) -> None:
        self._lake = lake
        self._run_id = run_id
        self._began_empty: dict[str, bool] = {}

    def parents(self, stream: Stream) -> Iterator[str]:
        """Yield the living parents of a stream's lists, in order of their ids."""
        table, key = core.table_of(stream.parent or ""), core.key_of(stream.parent or "")
        after = ""
        while True:
            connection = self._lake.reader()
            try:
                rows = connection.execute(
                    f"SELECT {key} AS id FROM {table} "
                    "WHERE deleted_at IS NULL AND id > ? ORDER BY id LIMIT ?",
                    [after, _PARENTS_AT_ONCE],
                ).fetchall()
            finally:
                connection.close()
            yield from (row[0] for row in rows)
            if len(rows) < _PARENTS_AT_ONCE:
                return
            after = rows[-1][0]

    def count_parents(self, stream: Stream) -> int:
        """Return how many living parents there are."""
        table = core.table_of(stream.parent or "")
        return self._count(f"SELECT count(*) FROM {table} WHERE deleted_at IS NULL")

    def brake(self, stream: Stream, deletions: int, share: float | None) -> None:
        """Refuse more deletions than the brake allows, see `tombstones.brake`."""
        connection = self._lake.reader()
        try:
            live = tombstones.count_live(connection, stream.name)
        finally:
            connection.close()
        tombstones.brake(stream.name, live, deletions, share)

    def _count(self, sql: str) -> int:
        connection = self._lake.reader()
        try:
            row = connection.execute(sql).fetchone()
        finally:
            connection.close()
        return int(row[0]) if row else 0

    def load(self, batch: Batch) -> Loaded:
        """Store what changed in one transaction.

        Raises:
            WarehouseError: DuckDB refused; nothing of the batch was kept.
            HomeError: the records are of another workspace than the home's.
        """
        rows = _Rows.of(batch)
        return self._lake.write(
            f"store {batch.stream.name}", lambda connection: self._load(connection, batch, rows)
        )

    def _load(self, connection: duckdb.DuckDBPyConnection, batch: Batch, rows: _Rows) -> Loaded:
        stream = batch.stream
        was_empty = self._began_empty.get(stream.name)
        if was_empty is None:
            was_empty = not _has_rows(connection, stream.name)
        rejects = batch.rejects
        changed = 0
        if rows.contents.num_rows:
            rejects += _stage(connection, stream.name, rows.contents)
            _check_workspace(connection)
            changed = _append(connection, stream.name)
            if changed:
                core.retype(connection, stream.name)
        # A single pass over lists never read before can miss nothing that is stored.
        first_sight = was_empty and not batch.again and all(c.passes == 1 for c in batch.ended)
        missing = reconcile(
            connection, stream.name, [] if first_sight else batch.ended, rows.sightings
        )
        notes.scans(connection, batch, self._run_id)
        notes.rejects(connection, rejects)
        self._began_empty[stream.name] = was_empty
        return Loaded(changed, missing)

    def bury(
        self, stream: Stream, record_ids: Sequence[str], share: float | None
    ) -> dict[str, int]:
        """Mark records deleted, and all that hang on them; return how many, by stream.

        Args:
            stream: whose records they are.
            record_ids: proven to be gone.
            share: the brake, see `tombstones.bury`; None lifts it.

        Raises:
            BrakeHeld: too many, of this stream or of one that hangs on it; nothing was marked.
        """
        return self._lake.write(
            f"mark deleted {stream.name}",
            lambda connection: tombstones.bury(connection, stream.name, record_ids, share),
        )


def _has_rows(connection: duckdb.DuckDBPyConnection, stream: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM raw.records WHERE stream = ? LIMIT 1", [stream]
    ).fetchone()
    return found is not None


def _stage(connection: duckdb.DuckDBPyConnection, stream: str, contents: pa.Table) -> list[Reject]:
    """Put the batch into ``incoming``; return the records that DuckDB's JSON does not accept."""
    connection.register("batch", contents)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE incoming AS "
        "SELECT record_id, parent_id, scan_id, payload, md5(payload) AS payload_hash, "
        "json_valid(payload) AS valid FROM batch"
    )
    connection.unregister("batch")
    bad = connection.execute(
        "SELECT record_id, payload, parent_id FROM incoming WHERE NOT valid"
    ).fetchall()
    if bad:
        connection.execute("DELETE FROM incoming WHERE NOT valid")
    return [Reject(stream, "bad_json", row[1], f"{row[2] or ''}/{row[0]}") for row in bad]


def _check_workspace(connection: duckdb.DuckDBPyConnection) -> None:
    """Bind the home to the first workspace id seen; refuse another's records."""
    seen = {
        row[0].lower()
        for row in connection.execute(
            "SELECT DISTINCT json_extract_string(payload, '$.workspaceId') AS id FROM incoming "
            "WHERE contains(payload, '\"workspaceId\"') AND id IS NOT NULL"
        ).fetchall()
    }
    if not seen:
        return
    bound = connection.execute("SELECT value FROM ops.home WHERE key = 'workspace_id'").fetchone()
    if bound is None and len(seen) == 1:
        connection.execute("INSERT INTO ops.home VALUES ('workspace_id', ?)", list(seen))
    elif bound is None or seen != {bound[0]}:
        raise HomeError(
            "these records are of another workspace than this home's. Use one HATIF_HOME for each "
            "workspace; nothing was stored"
        )


def _append(connection: duckdb.DuckDBPyConnection, stream: str) -> int:
    """Append what differs from its latest version to raw; leave it in ``changed``."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE changed AS
        WITH latest AS (
            SELECT record_id, max_by(payload_hash, seq) AS payload_hash, max_by(op, seq) AS op
            FROM raw.records
            WHERE stream = $stream AND record_id IN (SELECT record_id FROM incoming)
            GROUP BY record_id
        )
        SELECT
            i.record_id, i.parent_id, i.scan_id, i.payload, i.payload_hash,
            l.record_id IS NOT NULL AS was_known,
            (SELECT coalesce(max(seq), 0) FROM raw.records) + row_number() OVER () AS seq,
            now() AS fetched_at,
            NULL::TIMESTAMPTZ AS deleted_at
        FROM incoming i LEFT JOIN latest l USING (record_id)
        WHERE l.record_id IS NULL OR l.op = 'tombstone' OR l.payload_hash <> i.payload_hash
        """,
        {"stream": stream},
    )
    row = connection.execute("SELECT count(*) FROM changed").fetchone()
    if row and row[0]:
        connection.execute(
            "INSERT INTO raw.records BY NAME SELECT $stream AS stream, record_id, parent_id, seq, "
            "'upsert' AS op, payload::JSON AS payload, payload_hash, scan_id, fetched_at "
            "FROM changed",
            {"stream": stream},
        )
    return int(row[0]) if row else 0
