"""Any list server, any movement between two requests: what a certificate promises holds."""

import json
from dataclasses import replace

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.page_reader import PageSize
from hatif.scan import Scan
from hatif.sink import Certificate
from hatif.streams import STREAMS
from tests.hatif.conftest import HASTY, SPELLING, Read
from warehouse.settings.environment import Settings

CONTACTS = replace(STREAMS["contacts"], time_key=None)
TALKS = STREAMS["conversations"]
WHO = Settings.load(None, base_url="http://list", client_id="a", client_secret="b")


class List:
    """An offset list, newest first, that moves by its script between requests."""

    def __init__(self, count, moves=(), *, cap=1000, has_total=True, reads_skip=True, bare=False):
        self.clock = 1_000_000
        self.rows: dict[str, float] = {f"r{n}": n for n in range(count)}  # id → last activity
        self.moves = list(moves)
        self.cap, self.has_total, self.reads_skip, self.bare = cap, has_total, reads_skip, bare
        self.requests = 0
        self.began = set(self.rows)
        self.always = set(self.rows)  # alive at every moment
        self.dead_since = {}  # id → number of the request before which it died

    def ids(self):
        return sorted(self.rows, key=self.rows.__getitem__, reverse=True)

    def move(self, kind, where, ordered):
        ids = self.ids()
        self.clock += 1
        if kind == "insert":
            self.rows[f"n{self.clock}"] = self.clock
        elif ids and kind == "delete":
            gone = ids[int(where * len(ids))]
            del self.rows[gone]
            self.always.discard(gone)
            self.dead_since[gone] = self.requests
        elif ids and kind == "front":
            self.rows[ids[int(where * len(ids))]] = self.clock
        elif ids and kind == "anywhere" and not ordered:
            target = self.rows[ids[int((where * 7) % 1 * len(ids))]]
            self.rows[ids[int(where * len(ids))]] = target + 0.5 / self.clock

    def answer(self, request):
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
        ordered = "Sorting" in request.url.params
        for kind, where in self.moves.pop(0) if self.moves else ():
            self.move(kind, where, ordered)
        self.requests += 1
        assert self.requests < 2000, "without end"
        skip = int(request.url.params["SkipCount"]) if self.reads_skip else 0
        take = min(int(request.url.params["MaxResultCount"]), self.cap)
        items = [
            {"id": i, "lastActivityAt": f"2026-01-01T00:00:{self.rows[i]:030.15f}"}
            for i in self.ids()[skip : skip + take]
        ]
        if self.bare:
            return httpx.Response(200, json=items)
        total = {"totalCount": len(self.rows)} if self.has_total else {}
        return httpx.Response(200, content=json.dumps(total | {"items": items}))

    def scanned(self, stream, size):
        async def main():
            pages, starts = [], {}

            async def emit(scanned):
                pages.append(scanned)
                starts.setdefault(scanned.number, self.requests - 1)

            transport = httpx.MockTransport(self.answer)
            async with HatifClient(WHO, Budget(0), retry=HASTY, transport=transport) as client:
                scan = Scan(
                    client,
                    stream,
                    Certificate(stream.name, "p" if stream.parent else None, "full"),
                    spelling=SPELLING,
                    size=PageSize(size),
                    emit=emit,
                )
                result = Read(await scan.run(), pages)
                result.last_began = starts[result.certificate.passes]
                return result

        return anyio.run(main)


MOVE = st.tuples(
    st.sampled_from(["insert", "delete", "front", "anywhere"]),
    st.floats(0, 1, exclude_max=True),
)
SCRIPT = st.lists(
    st.one_of(st.just([]), st.lists(MOVE, min_size=1, max_size=3)), min_size=0, max_size=25
)
CHECKED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("stream", [CONTACTS, TALKS], ids=lambda stream: stream.name)
@CHECKED
@given(
    count=st.integers(0, 30),
    script=SCRIPT,
    size=st.integers(1, 12),
    cap=st.sampled_from([1, 2, 3, 7, 1000]),
)
def test_a_certificate_keeps_its_promise(stream, count, script, size, cap):
    """Whoever lived throughout was met in the last pass, and nobody dead before it began."""
    world = List(count, script, cap=cap)
    result = world.scanned(stream, size)
    if result.certificate.verdict.certified:
        assert world.always <= result.ids
        for record_id in result.ids:
            assert world.dead_since.get(record_id, 10**9) >= result.last_began
    if not any(script):
        assert result.verdict == "complete"
        assert result.ids == world.began


@pytest.mark.parametrize("stream", [CONTACTS, TALKS], ids=lambda stream: stream.name)
@pytest.mark.parametrize("has_total", [True, False])
@pytest.mark.parametrize("kinds", [["delete"], ["front"], ["delete", "front"], ["delete"] * 2])
def test_one_movement_or_two_anywhere_at_any_time_lose_nobody(stream, has_total, kinds):
    """Each place of a list of seven, each moment of a scan in pages of three."""
    pairs = len(kinds) > 1
    for moment in (2, 3, 4) if pairs else (1, 2, 3, 4, 5):
        for place in range(7):
            for other in range(7) if pairs else [0]:
                moves = zip(kinds, [place / 7 + 0.01, other / 7 + 0.01], strict=False)
                world = List(7, [[]] * moment + [list(moves)], has_total=has_total)
                result = world.scanned(stream, 3)
                assert result.certificate.verdict.certified
                assert world.always <= result.ids, (moment, place, other)
                if has_total:
                    assert world.requests <= 20


@CHECKED
@given(count=st.integers(0, 30), script=SCRIPT, size=st.integers(1, 12))
def test_a_list_in_order_that_does_not_say_how_long_it_is(count, script, size):
    world = List(count, script, has_total=False)
    result = world.scanned(TALKS, size)
    if result.certificate.verdict.certified:
        assert world.always <= result.ids


@pytest.mark.parametrize("stream", [CONTACTS, TALKS], ids=lambda stream: stream.name)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
def test_a_list_without_a_total_is_read_to_its_end(stream, count):
    world = List(count, has_total=False)
    result = world.scanned(stream, 10)
    assert (result.verdict, result.ids) == ("complete", world.began)


@pytest.mark.parametrize("stream", [CONTACTS, TALKS], ids=lambda stream: stream.name)
@pytest.mark.parametrize("has_total", [True, False])
def test_a_service_that_gives_its_first_page_for_ever_is_not_believed(stream, has_total):
    world = List(100, reads_skip=False, has_total=has_total)
    result = world.scanned(stream, 10)
    assert result.verdict == "unproven"
    assert world.requests <= 6 * 3


@pytest.mark.parametrize("stream", [CONTACTS, TALKS], ids=lambda stream: stream.name)
@pytest.mark.parametrize("has_total", [True, False])
def test_a_first_page_that_moves_and_comes_for_ever_is_not_read_for_ever(stream, has_total):
    moving = [[("front", n / 997 % 1)] for n in range(2000)]
    world = List(100, moving, reads_skip=False, has_total=has_total)
    assert world.scanned(stream, 10).verdict == "unproven"
    assert world.requests < 300


def test_a_bare_list_that_is_not_paged_after_all_is_the_whole():
    world = List(7, reads_skip=False, bare=True)
    result = world.scanned(CONTACTS, 10)
    assert result.certificate.verdict.certified
    assert (result.ids, world.requests) == (world.began, 4)


def test_a_total_that_is_wrong_is_never_proven_and_never_read_for_ever():
    class Liar(List):
        def answer(self, request):
            answer = super().answer(request)
            body = answer.json()
            if "totalCount" in body:
                body["totalCount"] += 3
            return httpx.Response(200, json=body)

    world = Liar(35)
    result = world.scanned(CONTACTS, 10)
    assert (result.verdict, result.ids) == ("unproven", world.began)
    assert world.requests < 60


@pytest.mark.parametrize("has_total", [True, False])
def test_more_rows_that_jump_than_the_last_look_can_show_are_not_lost(has_total):
    """One before each request, and each page fits the one before; in the end they are too many."""
    world = List(30, [[], *[[("front", 0.99)]] * 7], has_total=has_total)
    result = world.scanned(TALKS, 4)
    assert (result.verdict, result.ids) == ("repaired", world.always)
