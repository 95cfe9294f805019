"""Records that are read one wording after the other, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hatif.streams import STREAMS
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader

#: In the place of a wording: the record is gone.
GONE = None
Readings = Mapping[str, Sequence[dict[str, Any] | None]]


def read_in_turn(lake: Lake, stream: str, parent: str | None, readings: Readings) -> None:
    """Store the first wording of every record, by its id, then the second of all that have one."""
    for number in range(max(map(len, readings.values()))):
        wording = {name: all_[number] for name, all_ in readings.items() if number < len(all_)}
        read = [
            json.dumps({"id": name, "creationTime": "2026-01-01T00:00:00", **one}).encode()
            for name, one in wording.items()
            if one is not GONE
        ]
        Loader(lake, "run").load(batch(stream, parent, *read))
        if gone := [name for name, one in wording.items() if one is GONE]:
            Absences(lake, "run").mark_deleted(STREAMS[stream], gone, None)
