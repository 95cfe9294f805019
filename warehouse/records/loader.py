"""What a batch of records does to the lake, all of it in one transaction (`Loader.load`).

The way of a batch: its pages become the relation ``batch``, what differs from the latest stored
versions ``changed``, and that, typed by the SQL of the stream's core model, ``typed``. ``changed``
is appended to ``raw.records`` and ``typed`` replaces rows of ``core`` (`versions.store`). Then what
its scans showed is kept: certificates, cursors, rejects, what is missing. The same SQL files type a
batch here and everything on a rebuild.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from hatif.sink import Batch, ListFailure, Loaded, Target, Unfinished
from hatif.streams import Stream
from hatif.wire import Page, Reject
from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate
from warehouse.queue import cursors
from warehouse.queue.steps import STEPS
from warehouse.records import absences, drift, scans, several_lists, tombstones, versions
from warehouse.records.several_lists import Lists
from warehouse.records.versions import BatchRows, StoredIds, contents_of
from warehouse.records.workspace import ByWorkspace, set_foreign_aside

#: How DuckDB begins where the text of a record is no JSON.
_MALFORMED = "refused:Malformed JSON"


class Loader:
    """The lake as a sink of records for one run.

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
        self._lake = lake
        self._run_id = run_id
        self._run_began = datetime.now(UTC)
        self._unsettled = unsettled
        self._full_round = full_round
        self._stored_ids = StoredIds()
        self._ours = 0  # records met that name this home's workspace
        #: Parents of lists to be read for what another list lost: once in a run is enough.
        self._others: set[str | None] = set()
        #: Whether scans may wait to be gone on with; None = not looked at yet.
        self._any_waiting: bool | None = None

    def unfinished(self, stream: Stream) -> dict[str | None, Unfinished]:
        """Return the scans of a stream that earlier runs did not end, by parent."""
        with self._lake.reading() as connection:
            if not self._may_wait(connection):
                return {}
        return scans.unfinished(self._lake, stream.name)

    def _may_wait(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Return whether scans may wait to be gone on with; only this run leaves more of them."""
        if self._any_waiting is None:
            self._any_waiting = scans.any_unfinished(connection)
        return self._any_waiting

    def note_failures(self, stream: Stream, failed: Sequence[ListFailure], now: datetime) -> None:
        """Keep which lists failed, so that they are tried again later and ever more seldom."""
        self._lake.write(
            f"note failed lists of {stream.name}",
            lambda c: cursors.note_failed(c, stream.name, failed, now),
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
            loaded, ours = store(rows, rows.rejects)
        except ValueRefused:
            # First of all, since the parts of a batch cannot show whose the records are.
            by_workspace = self._lake.write(
                purpose, lambda c: self._by_workspace(c, batch.stream, rows.contents)
            )
            before, sound, refused = self._store_isolated(
                batch.stream, purpose, by_workspace.contents
            )
            rows = rows.only(sound)
            found = [*rows.rejects, *by_workspace.foreign, *refused]
            loaded, ours = store(rows, found)
            loaded = replace(loaded, changed=loaded.changed + before)
        self._ours += ours
        self._others |= {target.parent for target in loaded.disagreeing}
        self._stored_ids.committed(rows.ids, loaded.changed)
        return loaded

    def _load(
        self,
        connection: duckdb.DuckDBPyConnection,
        batch: Batch,
        rows: BatchRows,
        found: Sequence[Reject],
    ) -> tuple[Loaded, int]:
        """Store a batch; return what it did, and how many records name this home's workspace."""
        stream, ended = batch.stream, batch.ended
        by_workspace = self._by_workspace(connection, stream, rows.contents)
        # A single pass over lists never read before can miss nothing that is stored.
        first_time = self._stored_ids.begin(connection, stream.name) and not batch.again
        nothing_to_miss = first_time and all(c.passes == 1 for c in ended)
        contents, top = several_lists.choose(
            connection, stream, by_workspace.contents, rows.others, self._stored_ids.top
        )
        lists = Lists(ended, rows.sightings)
        suspects = self._stored_ids.among(rows.ids)
        changed, unreadable = versions.store(connection, stream, contents, suspects, top, lists)
        drift.note(connection, stream.name, "key", rows.undocumented_keys.items())
        set_aside = [*found, *by_workspace.foreign, *unreadable]
        any_waiting = self._may_wait(connection)
        missing = scans.find_missing(
            connection,
            stream.name,
            ended,
            rows.sightings,
            trivial=nothing_to_miss,
            any_waiting=any_waiting,
        )
        if scans.keep(connection, batch, rows.sightings, self._run_id, any_waiting=any_waiting):
            self._any_waiting = True
        disagreeing = cursors.advance(
            connection,
            stream.name,
            ended,
            missing,
            unsettled=self._unsettled,
            full_round=self._full_round,
            run_began=self._run_began,
        )
        rejects.advance(connection, batch, set_aside)
        absences.advance(connection, stream, ended, missing, rows.sightings, self._run_id)
        others = several_lists.note_lost(connection, stream, missing, self._run_id)
        disagreeing += [Target(other, "check") for other in others if other not in self._others]
        return Loaded(changed, missing, set_aside, disagreeing), by_workspace.ours

    def _by_workspace(
        self, connection: duckdb.DuckDBPyConnection, stream: Stream, contents: pa.Table
    ) -> ByWorkspace:
        """Split off records of another workspace, which only lists without a parent name."""
        if stream.parent is not None or not contents.num_rows:
            return ByWorkspace(contents, [], 0)
        return set_foreign_aside(connection, stream, contents, self._ours)

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
        bad = pa.array([one.item for one in refused], pa.int64())
        found = [
            Reject(
                stream.name,
                "bad_json" if one.reason.startswith(_MALFORMED) else one.reason,
                row["payload"],
                stream.list_path(row["parent_id"]),
            )
            for one, row in zip(refused, contents.take(bad).to_pylist(), strict=True)
        ]
        sound = set(range(contents.num_rows)) - set(bad.to_pylist())
        return sum(changed), contents.take(pa.array(sorted(sound), pa.int64())), found

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
            above = stream.parent if stream.own_path is None else None
            if above is not None and tombstones.is_deleted(connection, above, parent):
                # Its descendants were marked while this record was set aside. What has an address
                # of its own may live all the same, which the next run finds out there.
                tombstones.mark_deleted(connection, stream.name, page.ids, None, 0)
            return not unreadable

        return self._lake.write(f"replay {stream.name}", work)
