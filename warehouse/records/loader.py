"""What a batch of records does to the lake: raw, core, scans and rejects in one transaction.

A record is appended to ``raw.records`` when it differs from its latest stored version, and only
what was appended is typed again in ``core``. The same SQL files type a batch here and everything
on a rebuild.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from hatif.certificate import Unfinished
from hatif.sink import Batch, ListFailure, Loaded
from hatif.streams import Stream
from hatif.wire import Page, Reject
from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.lake.sql import exists
from warehouse.queue import cursors, list_retries
from warehouse.queue.cursors import STEPS
from warehouse.records import (
    absences,
    certificates,
    checkpoints,
    drift,
    retries,
    tombstones,
    versions,
)
from warehouse.records.batch_rows import BatchRows, contents_of
from warehouse.records.bloom_filter import StoredIdFilter
from warehouse.records.evidence import Evidence
from warehouse.records.missing import reconcile
from warehouse.records.workspace import ByWorkspace, set_foreign_aside

#: How DuckDB begins where the text of a record is no JSON.
_MALFORMED = "refused:Malformed JSON"


class Loader(Evidence):
    """The lake as a sink of records for one run; what is about deletions is in `Evidence`.

    Args:
        lake: open for writing, tables made.
        run_id: noted with every scan.
        unsettled: how long an event that can still change is looked at again.
        full_round: the full sync that the run belongs to, None for an incremental one.
    """

    def __init__(
        self,
        lake: Lake,
        run_id: str,
        *,
        unsettled: timedelta = STEPS[-1],
        full_round: str | None = None,
    ) -> None:
        super().__init__(lake, run_id)
        self._run_began = datetime.now(UTC)
        self._unsettled = unsettled
        self._full_round = full_round
        self._began_empty: dict[str, bool] = {}
        self._stored_ids: StoredIdFilter | None = None
        self._top = 0  # the largest seq met
        self._ours = 0  # records met that name this home's workspace

    def unfinished(self, stream: Stream) -> dict[str | None, Unfinished]:
        """Return the scans of a stream that earlier runs did not end, by parent."""
        return checkpoints.unfinished(self._lake, stream.name)

    def note_failures(self, stream: Stream, failed: Sequence[ListFailure], now: datetime) -> None:
        """Keep which lists failed, so that they are tried again later and ever more seldom."""
        self._lake.write(
            f"note failed lists of {stream.name}",
            lambda c: list_retries.note_failed(c, stream.name, failed, now),
        )

    def load(self, batch: Batch) -> Loaded:
        """Store what changed in one transaction; the batch is used up.

        Raises:
            WarehouseError: DuckDB rejected something; nothing of the batch was kept.
            HomeError: the records are of another workspace than the home's.
        """
        rows = BatchRows.of(batch)
        purpose = f"store {batch.stream.name}"

        def store(rows: BatchRows, found: Sequence[Reject]) -> tuple[Loaded, int]:
            return self._lake.write(purpose, lambda c: self._load(c, batch, rows, found))

        try:
            loaded, ours = store(rows, batch.rejects)
        except ValueRefused:
            # First of all, since the parts of a batch cannot show whose the records are.
            by_workspace = self._lake.write(
                purpose, lambda c: self._by_workspace(c, batch.stream, rows.contents)
            )
            before, sound, refused = self._store_isolated(
                batch.stream, purpose, by_workspace.contents
            )
            rows = rows.only(sound)
            found = [*batch.rejects, *by_workspace.foreign, *refused]
            loaded, ours = store(rows, found)
            loaded = replace(loaded, changed=loaded.changed + before)
        self._ours += ours
        if self._stored_ids is not None:
            self._stored_ids.met(rows.ids, loaded.changed)
        return loaded

    def _load(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        rows: BatchRows,
        found: Sequence[Reject],
    ) -> tuple[Loaded, int]:
        """Store a batch; return what it did, and how many records name this home's workspace."""
        stream = batch.stream
        by_workspace = self._by_workspace(connection, stream, rows.contents)
        top = self._top = versions.newest(connection, since=self._top)
        first_time = self._is_first_time(connection, stream.name, top) and not batch.again
        suspects = self._suspects(stream.name, rows.ids, top)
        changed, unreadable = versions.store(
            connection, stream, by_workspace.contents, suspects, top
        )
        set_aside = [*found, *by_workspace.foreign, *unreadable]
        # A single pass over lists never read before can miss nothing that is stored.
        nothing_to_miss = first_time and all(c.passes == 1 for c in batch.ended)
        missing = reconcile(
            connection, stream.name, batch.ended, rows.sightings, trivial=nothing_to_miss
        )
        absences.forget_seen(connection, stream.name, rows.sightings)
        checkpoints.keep(connection, batch.pages, batch.ended, rows.sightings)
        certificates.scans(connection, batch, self._run_id)
        rejects.store_records(connection, set_aside)
        absences.note_unweighed(connection, stream, missing, self._run_id)
        list_retries.advance(connection, stream.name, batch.ended)
        drift.note(connection, stream.name, "key", batch.undocumented_keys.items())
        disagreeing = cursors.advance(
            connection,
            stream.name,
            batch.ended,
            missing,
            unsettled=self._unsettled,
            full_round=self._full_round,
            run_began=self._run_began,
        )
        retries.advance(connection, batch, set_aside)
        absences.forget_settled(connection, stream.name, _read_whole(batch))
        return Loaded(changed, missing, set_aside, disagreeing), by_workspace.ours

    def _by_workspace(
        self, connection: duckdb.DuckDBPyConnection, stream: Stream, contents: pa.Table
    ) -> ByWorkspace:
        """Split off records of another workspace, which only lists without a parent name."""
        if stream.parent is not None or not contents.num_rows:
            return ByWorkspace(contents, [], 0)
        return set_foreign_aside(connection, stream, contents, self._ours)

    def _is_first_time(self, connection: duckdb.DuckDBPyConnection, stream: str, top: int) -> bool:
        """Whether nothing of the stream was stored when this run began to store it."""
        if stream not in self._began_empty:
            rows = f"FROM raw.records WHERE stream = '{stream}'"
            began_empty = self._began_empty[stream] = not exists(connection, rows)
            self._stored_ids = StoredIdFilter(stream, top) if began_empty else None
        return self._began_empty[stream]

    def _suspects(self, stream: str, record_ids: list[str], top: int) -> list[str]:
        """Return the records that may be stored already."""
        stored_ids = self._stored_ids
        if stored_ids is None or (stored_ids.stream, stored_ids.top) != (stream, top):
            self._stored_ids = None  # another writer stored versions too
            return record_ids
        return stored_ids.among(record_ids)

    def _store_isolated(
        self, stream: Stream, purpose: str, contents: pa.Table
    ) -> tuple[int, pa.Table, list[Reject]]:
        """Store a batch in parts, and find the records that DuckDB rejects.

        What the batch leaves beside its records comes with the rest, which by then is stored: a
        run that is killed in between has read lists that it did not end.

        Returns:
            How many records changed, the contents without the rejected ones, and these.
        """

        def attempt(positions: Sequence[int]) -> int:
            part = contents.take(pa.array(positions, pa.int64()))
            ids = part["record_id"].to_pylist()
            return self._lake.write(
                purpose,
                lambda c: versions.store(c, stream, part, ids, versions.newest(c))[0],
            )

        changed, refused = isolate(range(contents.num_rows), attempt)
        bad = [one.item for one in refused]
        found = [
            Reject(
                stream.name,
                "bad_json" if one.reason.startswith(_MALFORMED) else one.reason,
                row["payload"],
                stream.list_path(row["parent_id"]),
            )
            for one, row in zip(refused, contents.take(bad).to_pylist(), strict=True)
        ]
        kept = pa.array(sorted(set(range(contents.num_rows)) - set(bad)), pa.int64())
        return sum(changed), contents.take(kept), found

    def restore(self, stream: Stream, parent: str | None, page: Page) -> bool:
        """Store records that had been set aside; return whether all could be read.

        Raises:
            WarehouseError: DuckDB rejected something; nothing was kept.
        """
        contents = contents_of(page, parent)

        def work(connection: duckdb.DuckDBPyConnection) -> bool:
            if stream.parent is None:
                by_workspace = set_foreign_aside(connection, stream, contents, None)
                if by_workspace.foreign:
                    return False
            _, unreadable = versions.store(
                connection, stream, contents, page.ids, versions.newest(connection)
            )
            if stream.parent is not None and tombstones.is_deleted(
                connection, stream.parent, parent
            ):
                # Its descendants were marked while this record was set aside.
                tombstones.mark_deleted(connection, stream.name, page.ids, None, 0)
            return not unreadable

        return self._lake.write(f"replay {stream.name}", work)


def _read_whole(batch: Batch) -> list[str | None]:
    """The parents of the lists that were read to their end with this batch."""
    return [c.parent_id for c in batch.ended if c.whole and c.verdict.certified]
