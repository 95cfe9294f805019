"""Lists that a service delivers badly: what can be read is read, and the certificate says the rest.

The stand-in answers requests for one list in this process; each test bends its answers.
"""

import gzip
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import msgspec
import pytest

from hatif import errors
from hatif.budget import Budget
from hatif.certificate import Certificate, Position, Unfinished
from hatif.client import HatifClient
from hatif.page_reader import UNREADABLE_ROW
from hatif.page_size import PageSize
from hatif.scan import Scan
from hatif.streams import STREAMS
from tests.hatif.conftest import HASTY, SPELLING, WHO, Read

CONTACTS = replace(STREAMS["contacts"], time_key=None)
TAGS = replace(STREAMS["tags"], time_key=None)
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FAILED = httpx.Response(500, json={"error": {"message": "An internal error occurred"}})


class Service:
    """One list, newest first; `bend(skip, take, rows)` may answer in its place."""

    def __init__(self, count, bend=None, total=None, limit=500):
        self.rows = [
            {"id": f"r{n:05}", "creationTime": (_BEGAN - timedelta(minutes=n)).isoformat()}
            for n in range(count)
        ]
        self.bend, self.total, self.limit = bend, total, limit
        self.requests = 0
        self.sorts = True
        self.sorting_refused = None

    def answer(self, request):
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
        self.requests += 1
        assert self.requests < self.limit, "without end"
        params = request.url.params
        skip, take = int(params.get("SkipCount", 0)), int(params.get("MaxResultCount", 10))
        sorting = params.get("Sorting", "") if self.sorts else ""
        if sorting and self.sorting_refused is not None:
            return self.sorting_refused
        rows = self.rows
        if sorting:
            descending = sorting.endswith("DESC")
            rows = sorted(rows, key=lambda row: row["creationTime"], reverse=descending)
        bent = self.bend(skip, take, rows) if self.bend else None
        if isinstance(bent, httpx.Response):
            return bent
        items = rows[skip : skip + take] if bent is None else bent
        total = len(self.rows) if self.total is None else self.total
        return httpx.Response(200, content=json.dumps({"totalCount": total, "items": items}))

    def scanned(self, stream=CONTACTS, size=500, setbacks=0, retry=HASTY):
        self.size = size if isinstance(size, PageSize) else PageSize(size)

        async def main():
            pages = []

            async def emit(scanned):
                pages.append(scanned)

            transport = httpx.MockTransport(self.answer)
            async with HatifClient(WHO, Budget(0), retry=retry, transport=transport) as client:
                certificate = Certificate(stream.name, None, "full")
                scan = Scan(
                    client,
                    stream,
                    certificate,
                    spelling=SPELLING,
                    size=self.size,
                    emit=emit,
                    setbacks=setbacks,
                )
                return Read(await scan.run(), pages)

        return anyio.run(main)

    @property
    def ids(self):
        return {row["id"] for row in self.rows}


# --- pages that fail


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


# --- pages that are missing


@pytest.mark.parametrize("hole", [range(400, 700), range(500, 1000), range(1, 1399)], ids=str)
def test_an_empty_page_amid_a_list_loses_no_row_behind_it(hole):
    def bend(skip, _, __):
        return [] if skip in hole else None

    service = Service(1400, bend)
    read = service.scanned()
    assert read.verdict == "unproven"
    behind = {row["id"] for row in service.rows[max(500, hole.stop) :]}
    assert behind <= read.all_ids
    assert "came empty amid the list" in read.certificate.note


def test_one_empty_page_that_comes_when_asked_again_is_repaired():
    seen = []

    def bend(skip, _, __):
        seen.append(skip)
        return [] if skip and sum(1 for s in seen if s) == 1 else None

    service = Service(1400, bend)
    read = service.scanned()
    assert (read.verdict, read.ids) == ("repaired", service.ids)


def test_a_total_far_beyond_the_list_is_not_walked_to_its_end():
    service = Service(60, total=2_000_000_000)
    read = service.scanned(size=20)
    assert (read.verdict, read.ids) == ("unproven", service.ids)
    assert service.requests < 30


@pytest.mark.parametrize("total", [0, -1, 15, 2**63 - 1, 2**70, "60", "many", None, 1.5, True, []])
@pytest.mark.parametrize("size", [500, 20])
@pytest.mark.parametrize("stream", [CONTACTS, TAGS], ids=["contacts", "tags"])
def test_a_total_that_cannot_be_one_counts_as_none(stream, total, size):
    service = Service(
        60,
        lambda skip, take, rows: httpx.Response(
            200, json={"totalCount": total, "items": rows[skip : skip + take]}
        ),
    )
    read = service.scanned(stream, size)
    assert read.ids == service.ids
    assert read.verdict == "complete"
    assert service.requests <= 12


def test_a_total_that_lags_behind_ends_after_two_passes_that_agree():
    service = Service(60, total=58)
    read = service.scanned(size=20)
    assert (read.verdict, read.certificate.passes, read.ids) == ("unproven", 2, service.ids)
    assert "60 records were seen in 2 passes; the service counts 58" in read.certificate.note


# --- rows that stand twice or trade places


@pytest.mark.parametrize("stream", [CONTACTS, TAGS], ids=["contacts", "tags"])
@pytest.mark.parametrize("size", [500, 20])
def test_equal_duplicates_at_steady_places_hold_together(stream, size):
    service = Service(60)
    service.rows.insert(30, service.rows[29])
    service.rows.insert(7, service.rows[6])
    read = service.scanned(stream, size)
    assert (read.verdict, read.ids) == ("complete", service.ids)
    assert read.certificate.passes <= 2


def test_a_duplicate_that_a_movement_made_is_no_steady_one():
    service = Service(60)
    asked = []

    def bend(skip, _, __):
        asked.append(skip)
        if len(asked) == 2:  # a row of the part not read yet dies, one read before stands again
            service.rows[50] = service.rows[3]
        return

    service.bend = bend
    service.rows = service.rows[:]
    lost = service.rows[50]["id"]
    read = service.scanned(TAGS, 20)
    assert lost not in read.ids
    assert read.certificate.passes >= 2


def test_ties_in_random_order_cost_little_once_they_are_known():
    draw = random.Random(5)

    def bend(skip, take, rows):
        return draw.sample(rows, len(rows))[skip : skip + take]

    first = Service(130, bend).scanned(size=50)
    assert (first.verdict, first.certificate.passes) == ("unproven", 6)
    service = Service(130, bend)
    known = service.scanned(size=50, setbacks=3)
    assert known.verdict == "unproven"
    assert known.certificate.passes <= 2
    assert service.requests <= 9


def test_what_is_known_of_a_list_in_random_order_is_said():
    draw = random.Random(1)
    turns = []

    def bend(skip, take, rows):
        turns.append(skip)
        mixed = draw.sample(rows, len(rows)) if len(turns) % 3 else rows
        return mixed[skip : skip + take]

    read = Service(60, bend).scanned(TAGS, 50)
    assert read.all_ids == Service(60).ids
    assert "all 60 records that the service counts were seen" in (read.certificate.note or "")


# --- deep offsets


def shallow(limit, message="offset too large"):
    refusal = httpx.Response(400, json={"error": {"message": message}})
    return lambda skip, take, _: refusal if skip + take > limit else None


@pytest.mark.parametrize("limit", [800, 1000])
def test_rows_too_deep_for_an_offset_are_reached_from_the_other_end(limit):
    service = Service(1400, shallow(limit))
    read = service.scanned(size=100)
    assert read.ids == service.ids
    assert read.verdict == "complete"


def test_a_limit_of_offset_and_size_together_is_no_limit_of_size():
    service = Service(1400, shallow(1000, "SkipCount + MaxResultCount must not exceed 1000"))
    read = service.scanned(size=500)
    assert (read.verdict, read.ids) == ("complete", service.ids)
    assert service.size.rows >= 100
    assert service.requests < 80


def test_a_list_that_is_too_deep_from_both_ends_says_how_far_it_came():
    service = Service(1400, shallow(400))
    read = service.scanned(size=100)
    assert len(read.ids) == 800
    assert read.verdict == "unproven"
    assert "read 800 of 1400 records; rows from 400 on are out of reach" in read.certificate.note


@pytest.mark.parametrize("status", [400, 403, 500, 504])
def test_an_order_that_is_refused_reaches_nothing_and_harms_nothing(status):
    service = Service(1400, shallow(400))
    service.sorting_refused = httpx.Response(status)
    read = service.scanned(size=100)
    assert (read.verdict, len(read.ids)) == ("unproven", 400)
    assert "read 400 of 1400 records" in read.certificate.note


def test_a_list_that_comes_oldest_first_is_reached_from_its_newest():
    service = Service(1400, shallow(1000))
    service.rows.reverse()
    read = service.scanned(size=100)
    assert (read.verdict, read.ids) == ("complete", service.ids)


TALKS = replace(STREAMS["conversations"], parent=None, path="/talks")


def _talks(service, works=True):
    """Give rows an activity, and answer a filter by it where it works."""
    for row in service.rows:
        row["lastActivityAt"] = row["creationTime"].replace("+00:00", "Z")
    every = service.rows
    plain = service.answer

    def answer(request):
        until = request.url.params.get("ToDate")
        if until is not None:
            service.filtered.append(until)
        bound = datetime.fromisoformat(until + "+03:00") if until and works else None
        service.rows = [
            row
            for row in every
            if bound is None or datetime.fromisoformat(row["lastActivityAt"]) <= bound
        ]
        try:
            return plain(request)
        finally:
            service.rows = every

    service.filtered = []
    service.answer = answer
    return service


def test_rows_too_deep_for_both_ends_are_reached_by_a_filter():
    service = _talks(Service(1400, shallow(300)))
    read = service.scanned(TALKS, size=100)
    assert (read.verdict, read.ids) == ("complete", service.ids)
    assert service.filtered


def test_a_filter_that_is_ignored_costs_a_few_requests_and_nothing_else():
    service = _talks(Service(1400, shallow(300)), works=False)
    read = service.scanned(TALKS, size=100)
    assert (read.verdict, len(read.ids)) == ("unproven", 600)
    assert len(service.filtered) <= 4
    assert "read 600 of 1400 records" in read.certificate.note


def test_an_order_that_is_ignored_reaches_nothing_and_harms_nothing():
    service = Service(1400, shallow(400))
    forward = service.rows

    def bend(skip, take, _):
        if skip + take > 400:
            return httpx.Response(400)
        return forward[skip : skip + take]

    service.bend = bend
    read = service.scanned(size=100)
    assert (read.verdict, len(read.ids)) == ("unproven", 400)


# --- pages refused for their size

SIZE_REFUSALS = [
    httpx.Response(400, json={"error": {"validationErrors": [{"message": "x", "members": []}]}}),
    httpx.Response(
        400, json={"error": {"validationErrors": [{"members": ["input.maxResultCount"]}]}}
    ),
    httpx.Response(400, json={"title": "Bad", "errors": {"MaxResultCount": ["too large"]}}),
    httpx.Response(422, json={"error": {"message": "page"}}),
    httpx.Response(403, json={"error": {"code": "App:010046", "message": "page"}}),
    httpx.Response(400, content=b"too big"),
    httpx.Response(400, content=b"MaxResultCount is too big"),
    httpx.Response(413),
    httpx.Response(431),
]


@pytest.mark.parametrize("answer", SIZE_REFUSALS, ids=range(len(SIZE_REFUSALS)))
def test_a_page_size_refused_in_any_words_is_stepped_down(answer):
    service = Service(300, lambda _, take, __: answer if take > 100 else None)
    read = service.scanned()
    assert (read.verdict, read.ids, service.size.rows) == ("complete", service.ids, 62)


@pytest.mark.parametrize("status", [400, 422])
def test_a_list_refused_at_any_size_keeps_its_own_error(status):
    service = Service(300, lambda *_: httpx.Response(status, json={"error": {"message": "no"}}))
    with pytest.raises(errors.ServiceError, match=str(status)):
        service.scanned()
    assert service.requests <= 10
    assert service.size.rows == 500


# --- bodies

ENCODED = {
    "mark": lambda text: (text.encode("utf-8-sig"), {}),
    "utf-16": lambda text: (text.encode("utf-16"), {}),
    "utf-16 without a mark": lambda text: (text.encode("utf-16-le"), {}),
    "utf-32": lambda text: (text.encode("utf-32-be"), {}),
    "old code page": lambda text: (
        text.encode("cp1256"),
        {"content-type": "application/json; charset=windows-1256"},
    ),
    "wrong charset": lambda text: (
        text.encode(),
        {"content-type": "application/json; charset=windows-1256"},
    ),
    "unknown charset": lambda text: (
        text.encode(),
        {"content-type": 'application/json; charset="x-none"'},
    ),
    "gzip unsaid": lambda text: (gzip.compress(text.encode()), {}),
    "space before": lambda text: (b"\n  " + text.encode(), {}),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_a_body_in_another_encoding_is_read(kind):
    text = json.dumps({"totalCount": 1, "items": [{"id": "a", "name": "سلام"}]}, ensure_ascii=False)
    content, headers = ENCODED[kind](text)
    service = Service(1, lambda *_: httpx.Response(200, content=content, headers=headers))
    read = service.scanned()
    assert (read.verdict, service.requests) == ("complete", 1)
    assert "سلام" in b"".join(p.page.payloads[0] for p in read.pages).decode()


def test_gzip_that_is_none_is_asked_for_plainly():
    service = Service(1)
    plain = service.answer
    accepted = []

    def answer(request):
        accepted.append(request.headers.get("accept-encoding"))
        if request.method == "GET" and "gzip" in accepted[-1]:
            return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Plain())
        return plain(request)

    class Plain(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b'{"items": []}'

    service.answer = answer  # type: ignore[method-assign]
    assert service.scanned().verdict == "complete"
    assert accepted[-1] == "identity"
