"""Pages that fail, for their size or for a row: halved, and the row alone is passed over."""

from dataclasses import replace

import anyio
import httpx
import msgspec
import pytest

from hatif import errors
from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.page_reader import PageSize
from hatif.scan import Scan
from hatif.sink import UNREADABLE_ROW, Certificate, Position, Unfinished
from tests.hatif.conftest import HASTY, SPELLING, WHO
from tests.hatif.one_list import CONTACTS, FAILED, Service


def slow(limit):
    return lambda _, take, __: httpx.Response(504, content=b"<html>") if take > limit else None


@pytest.mark.parametrize("limit", [1, 7, 60, 300])
def test_pages_that_are_too_slow_are_halved_until_they_come(limit):
    service = Service(120 if limit == 1 else 700, slow(limit))
    read = service.scanned(size=100 if limit == 1 else 500)
    assert (read.verdict, read.ids) == ("complete", service.ids)
    assert limit / 2 <= service.size.rows <= limit


def test_pages_that_are_too_large_to_hold_are_halved_and_such_a_row_is_set_aside():
    service = Service(300)
    for row in service.rows:
        row["text"] = "x" * 1_000
    patient = replace(HASTY, largest_body=50_000)
    read = service.scanned(retry=patient)
    assert (read.verdict, read.ids, service.size.rows) == ("complete", service.ids, 31)
    service.rows[77]["text"] = "x" * 60_000
    read = service.scanned(retry=patient)
    assert read.ids == service.ids - {service.rows[77]["id"]}
    assert "more than 50,000 bytes" in read.certificate.note


def poisoned(*positions, answer=FAILED):
    return lambda skip, take, _: answer if any(skip <= p < skip + take for p in positions) else None


@pytest.mark.parametrize("positions", [(0,), (333,), (599,), (10, 11, 12), (5, 300, 590)], ids=str)
@pytest.mark.parametrize("size", [500, 20])
def test_rows_that_fail_alone_are_passed_over_and_set_aside(positions, size):
    service = Service(600, poisoned(*positions))
    read = service.scanned(size=size)
    assert read.ids == service.ids - {service.rows[p]["id"] for p in positions}
    assert [reject.reason for reject in read.rejects] == [UNREADABLE_ROW] * len(positions)
    places = [
        f"SkipCount={position}&" in one.location
        for position, one in zip(positions, read.rejects, strict=True)
    ]
    assert all(places)
    assert read.verdict == "unproven"
    assert "passed over" in read.certificate.note
    assert read.certificate.passes == 1


def test_a_block_of_bad_rows_costs_two_requests_each_and_hides_none_behind_it():
    service = Service(600, lambda *page: poisoned(*range(300, 380))(*page), limit=2_000)
    service.sorts = False
    read = service.scanned(size=100)
    assert read.ids == {row["id"] for row in service.rows[:300] + service.rows[380:]}
    assert len(read.rejects) == 80
    assert service.requests < 80 * 2 + 60


def test_more_bad_rows_than_are_passed_over_end_the_list_there():
    service = Service(600, lambda *page: poisoned(*range(200, 500))(*page), limit=2_000)
    service.sorts = False
    read = service.scanned(size=100)
    assert (read.verdict, len(read.ids)) == ("unproven", 200)
    assert "passed over 100 rows" in read.certificate.note


@pytest.mark.parametrize("size", [20, 1])
def test_a_bad_record_that_small_pages_show_first_is_set_aside_like_any_other(size):
    def bend(skip, take, rows):
        return (
            FAILED if size > 1 and take > 1 and skip < 10 else rows[skip : skip + min(take, size)]
        )

    service = Service(60, bend)
    service.rows[0]["id"] = ""
    read = service.scanned(size=20)
    assert read.all_ids == {row["id"] for row in service.rows[1:]}


def test_a_list_of_records_without_ids_is_a_changed_api_whatever_the_page_size():
    for cap in (500, 3):
        service = Service(60, lambda skip, take, rows, cap=cap: rows[skip : skip + min(take, cap)])
        for row in service.rows:
            del row["id"]
        with pytest.raises(errors.ForeignRecords):
            service.scanned()


def test_a_scan_that_is_resumed_knows_what_was_passed_over_before():
    """Otherwise its certificate would be one of a list that was read to every row."""
    service = Service(600, poisoned(50))
    pages = []

    async def scan(client, unfinished=None):
        async def emit(page):
            pages.append(page)
            if unfinished is None and len(page.page.rejects):
                raise errors.RequestLimitReached("stop")

        certificate = Certificate("contacts", None, "full")
        return await Scan(
            client,
            CONTACTS,
            certificate,
            spelling=SPELLING,
            size=PageSize(100),
            emit=emit,
            unfinished=unfinished,
        ).run()

    async def main():
        transport = httpx.MockTransport(service.answer)
        async with HatifClient(WHO, Budget(0), retry=HASTY, transport=transport) as client:
            with pytest.raises(errors.RequestLimitReached):
                await scan(client)
            kept = msgspec.json.decode(msgspec.json.encode(pages[-1].position), type=Position)
            seen = [mark for page in pages for mark in page.page.ids]
            started = Certificate("contacts", None, "full")
            return await scan(client, Unfinished(started, kept, lambda _: seen))

    certificate = anyio.run(main)
    assert (certificate.verdict, certificate.distinct_ids) == ("unproven", 600)
    assert "passed over 1 row" in certificate.note


def test_a_row_refused_by_a_rule_or_a_broken_answer_is_passed_over_too():
    for answer in (
        httpx.Response(403, json={"error": {"code": "App:1", "message": "no"}}),
        httpx.Response(200, content=b'{"items": ['),
        httpx.Response(409),
    ):
        service = Service(300, poisoned(150, answer=answer))
        assert len(service.scanned(size=100).ids) == 299


def test_a_service_that_is_down_is_not_halved_into_hundreds_of_requests():
    service = Service(600, lambda *_: FAILED)
    with pytest.raises(errors.ServerFault):
        service.scanned()
    assert service.requests <= HASTY.attempts + 8
