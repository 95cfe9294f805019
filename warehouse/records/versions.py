"""Versions of records: what of a batch differs from what is stored, appended to raw and typed.

The way of a batch (`store`), all of it temporary relations of one transaction::

    batch    (Arrow) every record of the batch once: record_id, parent_id, scan_id, payload_hash,
             payload
    latest   (table) the latest stored version of those that may be stored: record_id,
             payload_hash, op, parent_id
    changed  (view) what differs, with was_known, and deleted_at = NULL: of the table ``differing``,
             or of ``batch`` itself where none of it is stored
    typed    (table) ``changed`` as rows of the stream's main table, made by
             `warehouse.records.core_tables`, which takes unreadable records out of both
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from hatif.sink import Batch
from hatif.streams import Stream
from hatif.wire import Page, Reject
from warehouse.lake import invalidation
from warehouse.lake.bloom import BloomFilter
from warehouse.lake.sql import exists, scalar
from warehouse.models.model import main_model
from warehouse.records import core_tables, drift, several_lists
from warehouse.records.several_lists import NO_LISTS, Lists


@dataclass(frozen=True, slots=True)
class BatchRows:
    """A batch as Arrow tables.

    What the pages hold of contents is taken from them, so that it does not lie in memory twice.

    Attributes:
        sightings: a row each time that a record was met: record_id, parent_id, scan_id, pass.
        contents: each record once, as it came last: record_id, parent_id, scan_id, payload_hash,
            payload.
        ids: of `contents`.
        others: what other lists of the batch show of these records, columns as in `contents`;
            without rows, as a rule.
        rejects: the bad records of all pages.
        undocumented_keys: each with the id of a record of a page it was on.
    """

    sightings: pa.Table
    contents: pa.Table
    ids: list[str]
    others: pa.Table
    rejects: Sequence[Reject] = ()
    undocumented_keys: Mapping[str, str | None] = field(default_factory=dict)

    def only(self, contents: pa.Table) -> BatchRows:
        """The batch with these contents, and all its sightings."""
        ids, others = contents["record_id"].to_pylist(), self.others.slice(0, 0)
        return replace(self, contents=contents, ids=ids, others=others)

    @classmethod
    def of(cls, batch: Batch) -> BatchRows:
        """Take the rows of a batch's pages."""
        ids: list[str] = []
        parents: list[str | None] = []
        payloads: list[bytes] = []
        scans: list[str] = []
        passes: list[int] = []
        rejects: list[Reject] = []
        keys: dict[str, str | None] = {}
        for scanned in batch.pages:
            page, certificate = scanned.page, scanned.certificate
            ids += page.ids
            payloads += page.payloads
            page.payloads = []  # they are most of what a page weighs
            parents += [certificate.parent_id] * len(page.ids)
            scans += [certificate.scan_id] * len(page.ids)
            passes += [scanned.number] * len(page.ids)
            rejects += page.rejects
            keys |= dict.fromkeys(sorted(page.undocumented_keys), next(iter(page.ids), None))
        text = pa.string()
        sightings = pa.table(
            {
                "record_id": pa.array(ids, text),
                "parent_id": pa.array(parents, text),
                "scan_id": pa.array(scans, text),
                "pass": pa.array(passes, pa.int32()),
            }
        )
        contents = sightings.select(["record_id", "parent_id", "scan_id"])
        hashes = pa.array(map(xxh3_128_hexdigest, payloads), text)
        contents = contents.append_column("payload_hash", hashes)
        contents = contents.append_column("payload", _json_column(payloads))
        last = {record_id: position for position, record_id in enumerate(ids)}
        others = contents.slice(0, 0)
        if len(last) < len(ids):
            by_list = {key: position for position, key in enumerate(zip(ids, parents, strict=True))}
            elsewhere = sorted(set(by_list.values()) - set(last.values()))
            others = contents.take(pa.array(elsewhere, pa.int64()))
            contents = contents.take(pa.array(list(last.values())))
        return cls(sightings, contents, list(last), others, rejects, keys)


def contents_of(page: Page, parent: str | None) -> pa.Table:
    """Return the records of a page that no scan read, columns as in `BatchRows.contents`."""
    text = pa.string()
    return pa.table(
        {
            "record_id": pa.array(page.ids, text),
            "parent_id": pa.array([parent] * len(page.ids), text),
            "scan_id": pa.nulls(len(page.ids), text),
            "payload_hash": pa.array(map(xxh3_128_hexdigest, page.payloads), text),
            "payload": _json_column(page.payloads),
        }
    )


def _json_column(payloads: Sequence[bytes]) -> pa.Array:
    """Return texts as a column that DuckDB takes for JSON unseen; typing shows what is none."""
    text = pa.array(payloads, pa.binary()).cast(pa.string())
    return pa.ExtensionArray.from_storage(pa.json_(), text)


def store(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    contents: pa.Table,
    suspects: Sequence[str],
    top: int,
    lists: Lists = NO_LISTS,
) -> tuple[int, list[Reject]]:
    """Store the records that differ, in raw and core; return how many, and those set aside.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        contents: each record once, columns as in ``batch``.
        suspects: ids of those that may be stored already.
        top: the largest ``seq`` so far.
        lists: what the batch shows of its lists.
    """
    if not contents.num_rows:
        return 0, []
    connection.register("batch", contents)
    any_known = _find_changed(connection, stream, suspects, lists)
    if any_known and not exists(connection, "FROM differing"):
        connection.unregister("batch")
        return 0, []
    unreadable = core_tables.type_records(connection, stream.name)
    model = main_model(stream.name)
    drift.note_codes(connection, stream.name, model, "typed", model.replace)
    changed, known = connection.execute(
        "SELECT count(*), count(*) FILTER (was_known) FROM changed"
    ).fetchone() or (0, 0)
    if changed:
        connection.execute(_APPEND, {"stream": stream.name, "top": top})
        has_moved = core_tables.find_moved(connection, stream.name)
        core_tables.retype(connection, stream.name, any_known=known > 0)
        invalidation.mark_records(connection, stream.name, "changed")
        if any_known:
            # A record that moved concerns where it was, too.
            moved = "FROM latest SEMI JOIN changed USING (record_id)"
            invalidation.mark_records(connection, stream.name, f"({moved})")
        if has_moved:
            core_tables.follow(connection)
    connection.unregister("batch")
    misread = [
        Reject(
            stream.name,
            one.reason,
            one.payload,
            stream.list_path(one.parent_id),
        )
        for one in unreadable
    ]
    return int(changed), misread


def newest(connection: duckdb.DuckDBPyConnection, since: int = 0) -> int:
    """Return the largest ``seq`` there is, 0 where there is none.

    Args:
        connection: for reading.
        since: one that there is; files with none beyond it are not looked into.
    """
    return scalar(
        connection, f"SELECT coalesce(max(seq), {since}) FROM raw.records WHERE seq > {since}"
    )


def _find_changed(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    suspects: Sequence[str],
    lists: Lists,
) -> bool:
    """Make ``changed``; return whether any of the batch was stored before, then in ``latest``.

    Where no record was ever stored it looks at the batch itself, which saves copying it.
    """
    any_known = False
    if suspects:
        connection.register("suspects", pa.table({"record_id": pa.array(suspects, pa.string())}))
        connection.execute(_LATEST, [stream.name])
        connection.unregister("suspects")
        any_known = exists(connection, "FROM latest")
    if any_known:
        connection.execute("CREATE OR REPLACE TEMP TABLE differing AS " + _DIFFERING)
        several_lists.hold(connection, stream, lists)
    source = "differing" if any_known else "(SELECT *, false AS was_known FROM batch)"
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW changed AS "
        f"SELECT *, NULL::TIMESTAMPTZ AS deleted_at FROM {source}"
    )
    return any_known


_LATEST = """
    CREATE OR REPLACE TEMP TABLE latest AS
    SELECT record_id, max_by(payload_hash, seq) AS payload_hash, max_by(op, seq) AS op,
        max_by(parent_id, seq) AS parent_id
    FROM raw.records
    WHERE stream = ? AND record_id IN (SELECT record_id FROM suspects)
    GROUP BY record_id
"""
_DIFFERING = """
    SELECT b.*, l.record_id IS NOT NULL AS was_known
    FROM batch b LEFT JOIN latest l ON l.record_id = b.record_id
    WHERE l.record_id IS NULL OR l.op = 'tombstone' OR l.payload_hash <> b.payload_hash
        OR l.parent_id IS DISTINCT FROM b.parent_id
"""
_APPEND = """
    INSERT INTO raw.records BY NAME
    SELECT $stream AS stream, record_id, parent_id, $top + row_number() OVER () AS seq,
        'upsert' AS op, payload, payload_hash, scan_id, now() AS fetched_at
    FROM changed
"""


#: 8 MB. A single record taken for known has its batch looked up: one batch in 90 when a million
#: are stored, four in ten at two million, nearly all beyond three.
_BITS, _OF_EACH = 26, 6


class StoredIds:
    """Which records of a stream may be stored, without a query where a run began with none.

    A first sync would look up every batch in all that it has stored itself, and find nothing nearly
    always: the more there is, the dearer. A Bloom filter of fixed size answers instead. That a
    record is new is certain; that it is known may be an error, and costs a look-up.
    """

    def __init__(self) -> None:
        self._began_empty: dict[str, bool] = {}
        self._filter: StoredIdFilter | None = None
        #: The largest ``seq`` in ``raw.records`` that was met.
        self.top = 0

    def begin(self, connection: duckdb.DuckDBPyConnection, stream: str) -> bool:
        """Look at a stream before a batch of it is stored.

        Returns:
            Whether nothing of the stream was stored when this run began to store it.
        """
        top = self.top = newest(connection, since=self.top)
        if stream not in self._began_empty:
            rows = f"FROM raw.records WHERE stream = '{stream}'"
            began_empty = self._began_empty[stream] = not exists(connection, rows)
            self._filter = StoredIdFilter(stream, top) if began_empty else None
        elif self._filter is not None and (self._filter.stream, self._filter.top) != (stream, top):
            self._filter = None  # another writer stored versions too
        return self._began_empty[stream]

    def among(self, record_ids: list[str]) -> list[str]:
        """Return those that may be stored, after `begin`; all others are not."""
        return record_ids if self._filter is None else self._filter.among(record_ids)

    def committed(self, record_ids: Sequence[str], versions: int) -> None:
        """Note that these were stored, by so many new versions."""
        if self._filter is not None:
            self._filter.met(record_ids, versions)


class StoredIdFilter:
    """The records of a stream that one run has stored, where none had been stored before.

    Args:
        stream: whose records they are.
        top: the largest ``seq`` in ``raw.records``. Where it is another than this run's own
            versions have made it, another writer has stored some, too.
    """

    def __init__(self, stream: str, top: int) -> None:
        self.stream = stream
        self.top = top
        self._ids = BloomFilter(_BITS, _OF_EACH)

    def among(self, record_ids: Sequence[str]) -> list[str]:
        """Return those that may be stored; all others are not."""
        known = self._ids.finds(_digests(record_ids))
        return [record_ids[position] for position in np.flatnonzero(known).tolist()]

    def met(self, record_ids: Sequence[str], versions: int) -> None:
        """Note that these were stored, by so many new versions."""
        self.top += versions
        self._ids.add(_digests(record_ids))


def _digests(record_ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    return np.fromiter(map(hash, record_ids), np.int64, len(record_ids)).view(np.uint64)
