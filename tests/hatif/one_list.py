"""A stand-in for the service with one list, in this process; each test bends its answers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import httpx

from hatif.budget import Budget
from hatif.client import HatifClient
from hatif.page_reader import PageSize
from hatif.scan import Scan
from hatif.sink import Certificate
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
