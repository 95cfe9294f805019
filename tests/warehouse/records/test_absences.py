"""Evidence against records: kept with the batch that found it, and shown in the certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from hatif.streams import STREAMS
from tests.comparison import stored
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.queue import plan
from warehouse.records import scans
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.reports import status
from warehouse.settings.environment import Settings

_TIMELINES = STREAMS["timelines"]


def _event(number: int) -> bytes:
    return (
        b'{"eventId":"e%d","sourceType":2,"direction":1,"creationTime":"2026-01-05T10:00:00Z"}'
        % number
    )


def _world(lake: Lake) -> None:
    loader = Loader(lake, "first run")
    loader.load(batch("conversations", "c", b'{"id":"v"}'))
    loader.load(batch("timelines", "v", *map(_event, range(3))))


def _due(lake: Lake) -> dict[str, int]:
    policy = plan.ReadPolicy(datetime.now(UTC), timedelta(days=7), timedelta(hours=72))
    with lake.reading() as connection:
        return plan.reasons(connection, "timelines", policy)


def test_a_run_that_ends_before_its_evidence_is_weighed_leaves_it_to_the_next(lake: Lake) -> None:
    _world(lake)
    made = batch("timelines", "v", _event(0), _event(1))
    made.ended[0].signal = "|||"  # what its conversation still says

    Loader(lake, "killed run").load(made)

    assert _due(lake) == {"check": 1}
    missing = Loader(lake, "next run").load(batch("timelines", "v", _event(0), _event(1))).missing
    assert [
        one.record_id for one in Absences(lake, "next run").weigh(_TIMELINES, missing).proven
    ] == ["e2"]


def test_a_bad_record_may_be_what_is_missing_and_is_no_evidence(lake: Lake) -> None:
    _world(lake)
    turned_bad = b'{"eventId":"e2","sourceType":2,"creationTime":"soon"}'
    made = batch("timelines", "v", _event(0), _event(1))
    bad = batch("timelines", "v", turned_bad)
    bad.ended.clear()
    loader = Loader(lake, "second run")
    loader.load(bad)
    assert loader.load(made).missing
    with lake.reading() as connection:
        assert connection.execute("FROM ops.absences").fetchall() == []


def test_a_list_whose_evidence_waits_has_no_certificate(lake: Lake, settings: Settings) -> None:
    _world(lake)
    missing = Loader(lake, "second run").load(batch("timelines", "v")).missing

    assert len(Absences(lake, "second run").weigh(_TIMELINES, missing).wait) == 3

    rows = stored(settings, "SELECT run_id, verdict, note FROM ops.scans WHERE parent_id = 'v'")
    notes = {row["run_id"]: (row["verdict"], row["note"]) for row in rows}
    assert notes["first run"] == ("complete", None)
    verdict, note = notes["second run"]
    assert (verdict, note.partition(" are ")[0]) == ("unproven", "3 stored records")


def test_a_list_whose_evidence_goes_on_waiting_is_reported_once(lake: Lake) -> None:
    loader = Loader(lake, "first run")
    loader.load(batch("conversations", "c", b'{"id":"v","lastEventsCount":3}'))
    loader.load(batch("timelines", "v", *map(_event, range(3))))
    uncertified = []
    for run in ("second run", "third run"):
        loader = Loader(lake, run)
        missing = loader.load(batch("timelines", "v")).missing
        withdraw = partial(scans.withdraw, stream="timelines", missing=missing, run_id=run)
        lake.write("withdraw the certificate", withdraw)
        with lake.reading() as connection:
            uncertified.append(status.certificates(connection, ["timelines"])["timelines"][2])
    assert uncertified == [1, 0]
