"""Pages refused for their size, in any words."""

import httpx
import pytest

from hatif import errors
from tests.hatif.one_list import Service

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
