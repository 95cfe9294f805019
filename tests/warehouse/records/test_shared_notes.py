"""A note that several contacts hold is one row, the same after a rebuild."""

from __future__ import annotations

import json

from hatif.streams import STREAMS
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild


def _contact(lake: Lake, key: str, *notes: str) -> None:
    record = {"id": key, "notes": [{"id": note, "text": f"{note} of {key}"} for note in notes]}
    Loader(lake, "run").load(batch("contacts", None, json.dumps(record).encode()))


def _notes(lake: Lake) -> list[tuple[str, str]]:
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT contact_id, text FROM core.contact_notes ORDER BY note_id, contact_id"
        ).fetchall()
    return [(contact, text) for contact, text in rows]


def test_a_note_of_two_contacts_is_one_row_and_goes_on_to_the_other(lake: Lake) -> None:
    seen = []
    _contact(lake, "b", "n", "own")
    _contact(lake, "a", "n")
    seen.append(_notes(lake))
    _contact(lake, "a", "n", "more")
    _contact(lake, "b", "n")
    seen.append(_notes(lake))
    Absences(lake, "run").mark_deleted(STREAMS["contacts"], ["a"], None)
    seen.append(_notes(lake))
    assert seen == [
        [("a", "n of a"), ("b", "own of b")],
        [("a", "more of a"), ("a", "n of a")],
        [("b", "n of b")],
    ]
    _contact(lake, "c", "n")
    after = _notes(lake)

    rebuild(lake, lambda *_: None)

    assert _notes(lake) == after == [("b", "n of b")]
    _contact(lake, "b")
    assert _notes(lake) == [("c", "n of c")]
