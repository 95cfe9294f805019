"""The service tells the time with every answer: the world's, which a test can move."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from rehearsal import Fault
from tests.rehearsal.conftest import CONTACTS


def reported(answer):
    return parsedate_to_datetime(answer.headers["Date"])


def test_answers_carry_the_worlds_time_and_only_that(server, client):
    assert reported(client.get(CONTACTS)) == server.spec.now
    server.advance(timedelta(hours=7))
    answer = client.get(CONTACTS)
    assert answer.headers.get_list("Date") == ["Sun, 01 Nov 2026 16:00:00 GMT"]
    assert reported(client.ask_token()) == server.now


@pytest.mark.parametrize("kind", ["429", "500", "401", "truncated_json", "drip", "html"])
def test_refusals_and_faults_carry_it_too(quirky, kind):
    quirky.fault(Fault(kind, stream="token", params={"seconds": 0}))
    with httpx.Client(base_url=quirky.url) as http:
        assert reported(http.post("/connect/token")) == quirky.now


def test_it_can_be_the_machines_time_or_missing(quirky):
    with httpx.Client(base_url=quirky.url) as http:
        quirky.set_quirks(date_header="machine")
        assert abs(reported(http.get(CONTACTS)) - datetime.now(UTC)) < timedelta(seconds=5)
        quirky.set_quirks(date_header="none")
        assert "Date" not in http.get(CONTACTS).headers
