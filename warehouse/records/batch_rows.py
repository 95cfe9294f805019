"""A batch of pages as Arrow tables, on its way into the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from hatif.sink import Batch
from hatif.wire import Page


@dataclass(frozen=True, slots=True)
class BatchRows:
    """A batch as Arrow tables.

    What the pages hold of contents is taken from them, so that it does not lie in memory twice.

    Attributes:
        sightings: a row each time that a record was met: record_id, parent_id, scan_id, pass.
        contents: each record once, as it came last: record_id, parent_id, scan_id, payload_hash,
            payload.
        ids: of `contents`.
    """

    sightings: pa.Table
    contents: pa.Table
    ids: list[str]

    def only(self, contents: pa.Table) -> BatchRows:
        """The batch with these contents, and all its sightings."""
        return BatchRows(self.sightings, contents, contents["record_id"].to_pylist())

    @classmethod
    def of(cls, batch: Batch) -> BatchRows:
        """Take the rows of a batch's pages."""
        ids: list[str] = []
        parents: list[str | None] = []
        payloads: list[bytes] = []
        scans: list[str] = []
        passes: list[int] = []
        for scanned in batch.pages:
            page, certificate = scanned.page, scanned.certificate
            ids += page.ids
            payloads += page.take_payloads()
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
        contents = sightings.select(["record_id", "parent_id", "scan_id"])
        hashes = pa.array(map(xxh3_128_hexdigest, payloads), text)
        contents = contents.append_column("payload_hash", hashes)
        contents = contents.append_column("payload", json_column(payloads))
        last = {record_id: position for position, record_id in enumerate(ids)}
        if len(last) < len(ids):
            contents = contents.take(pa.array(list(last.values())))
        return cls(sightings, contents, list(last))


def contents_of(page: Page, parent: str | None) -> pa.Table:
    """Return the records of a page that no scan read, columns as in `BatchRows.contents`."""
    text = pa.string()
    return pa.table(
        {
            "record_id": pa.array(page.ids, text),
            "parent_id": pa.array([parent] * len(page.ids), text),
            "scan_id": pa.nulls(len(page.ids), text),
            "payload_hash": pa.array(map(xxh3_128_hexdigest, page.payloads), text),
            "payload": json_column(page.payloads),
        }
    )


def json_column(payloads: Sequence[bytes]) -> pa.Array:
    """Return texts as a column that DuckDB takes for JSON unseen; typing shows what is none."""
    text = pa.array(payloads, pa.binary()).cast(pa.string())
    return pa.ExtensionArray.from_storage(pa.json_(), text)
