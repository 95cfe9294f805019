"""Lists with holes, wrong totals, rows that stand twice or trade places: read as far as proven."""

import random

import httpx
import pytest

from tests.hatif.one_list import CONTACTS, TAGS, Service

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
