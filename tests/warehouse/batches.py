"""Batches of records as a scan hands them over, without a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hatif.sink import Batch, Certificate, PassState, Position, ScannedPage, Verdict
from hatif.streams import STREAMS, keys_of_streams
from hatif.wire import Spelling, decode_page
from warehouse.models.model import wire_keys

#: The keys that the warehouse reads.
SPELLING = Spelling(wire_keys() | keys_of_streams())


def batch(stream: str, parent: str | None, *records: bytes) -> Batch:
    """One page with these records, all that the list has, certified in one pass."""
    return batch_of_lists(stream, {parent: records})


def batch_of_lists(stream: str, lists: Mapping[str | None, Sequence[bytes]]) -> Batch:
    """A page for each list, by the list's parent; all that it has, certified in one pass."""
    made = Batch(STREAMS[stream])
    for parent, records in lists.items():
        certificate = Certificate(stream, parent, "full", passes=1, verdict=Verdict.COMPLETE)
        body = b"[" + b",".join(records) + b"]"
        page = decode_page(body, STREAMS[stream], SPELLING, parent)
        position = Position([PassState(1)], len(page.ids), [], True, len(page.ids), 1)
        made.add(ScannedPage(certificate, 1, page, position))
        made.add(certificate)
    return made
