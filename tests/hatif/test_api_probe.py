"""The probe describes whatever comes: no shape of an answer ends it or shows a customer's text."""

import json

import anyio
import httpx
import pytest

from hatif.api_probe import ApiProbe
from hatif.budget import Budget
from hatif.client import HatifClient
from tests.hatif.conftest import HASTY, WHO

ID = "3a21b7e2-0000-0000-0000-000000000001"
WORDS = "Mona 0512345678"


def probed(row):
    """The answers where every list, and every single record, is of such rows."""

    def answer(request):
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 9999})
        if request.url.path.endswith(ID):
            return httpx.Response(200, json=row)
        return httpx.Response(200, json={"totalCount": 2, "items": [row, row]})

    async def main():
        transport = httpx.MockTransport(answer)
        async with HatifClient(WHO, Budget(0), retry=HASTY, transport=transport) as client:
            return await ApiProbe(client).answers()

    return anyio.run(main)


@pytest.mark.parametrize(
    "row",
    [
        {"id": ID, "userId": ID, "eventId": ID, "creationTime": 1763632800000, "tags": {"a": 1}},
        {"id": ID, "creationTime": WORDS * 50, "status": WORDS, "tags": "one, two"},
        {"id": ID, "creationTime": [1], "lastActivityAt": {"a": 1}, "tags": [None, 5]},
        {"id": 5, "creationTime": True, "contactName": [WORDS], "assigneeId": 7},
        {"creationTime": "2026-01-01T00:00:00Z"},
        {},
        [WORDS],
        WORDS,
        None,
        5,
    ],
    ids=str,
)
def test_rows_of_any_shape_are_described(row):
    answers = probed(row)
    assert len(answers) == 9
    shown = json.dumps([[one.question, one.text, one.facts] for one in answers])
    assert "0512345678" not in shown
    assert "Mona" not in shown
