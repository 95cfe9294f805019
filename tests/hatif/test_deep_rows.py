"""Rows beyond the deepest offset that a list accepts: reached by another order or a filter."""

from dataclasses import replace
from datetime import datetime

import httpx
import pytest

from hatif.streams import STREAMS
from tests.hatif.one_list import Service


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
