"""Bodies in other encodings than their headers state."""

import gzip
import json
import tracemalloc

import httpx
import pytest

from hatif.envelope import is_closed, unwrap
from hatif.errors import Undecodable
from tests.hatif.one_list import Service

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


def test_a_body_cut_in_a_long_text_takes_no_more_memory_than_a_few_copies():
    body = b'{"items":[{"id":1,"note":"' + b"y" * (2 << 20)
    tracemalloc.start()
    assert not is_closed(body)
    with pytest.raises(Undecodable):
        unwrap(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * len(body)
