"""When a batch is full: by rows or by bytes, at the end of scans where that is near."""

import pytest

from hatif.sink import Batch, Certificate, PassState, Position, ScannedPage
from hatif.streams import STREAMS
from hatif.wire import Page


def put(batch, certificate, *, rows, size=1):
    ids = [f"{certificate.scan_id}-{number}" for number in range(rows)]
    page = Page(ids, [b"x" * size] * rows)
    position = Position([PassState(1)], rows, [], True, rows, 1)
    batch.add(ScannedPage(certificate, 1, page, position))


@pytest.fixture
def batch():
    return Batch(STREAMS["timelines"])


@pytest.fixture
def scans():
    return [Certificate("timelines", f"v{number}", "full") for number in range(3)]


def full(batch):
    return batch.is_full(100, 1_000)


def test_rows_alone_do_not_close_a_batch_while_a_scan_in_it_goes_on(batch, scans):
    one, other, _ = scans
    put(batch, one, rows=60)
    put(batch, other, rows=50)
    assert not full(batch)
    batch.add(one)
    assert not full(batch)
    batch.add(other)
    assert full(batch)


def test_a_fifth_more_closes_it_all_the_same(batch, scans):
    put(batch, scans[0], rows=119)
    assert not full(batch)
    put(batch, scans[0], rows=1)
    assert full(batch)


def test_long_texts_fill_a_batch_of_few_rows(batch, scans):
    put(batch, scans[0], rows=9, size=111)
    batch.add(scans[0])
    assert not full(batch)
    put(batch, scans[1], rows=1, size=1)
    assert not full(batch)
    batch.add(scans[1])
    assert full(batch)


def test_few_rows_and_ended_scans_fill_none(batch, scans):
    for scan in scans:
        put(batch, scan, rows=33)
        batch.add(scan)
    assert not full(batch)
