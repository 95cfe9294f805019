"""A probe of a live workspace for what the service's documentation leaves open; it only reads.

Some forty requests: one page of each list, then sizes, orders and filters tried on them. What comes
back is described by shapes, counts and names of keys; no text of a customer leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hatif import probe_shapes as shapes
from hatif.client import HatifClient
from hatif.clock import Calibration
from hatif.envelope import fold
from hatif.errors import HatifError, RequestLimitReached, ServiceError
from hatif.findings import Answer
from hatif.probe_shapes import Row, Sample, text_of
from hatif.sender import Meter
from hatif.streams import STREAMS

_SAMPLE = 50
_SIZES = (1000, 1001)  # the framework's maximum, and one more
_CALLS = "/v1/call/list"
_COUNTERS = re.compile(r"rate|limit|quota|retry", re.IGNORECASE)


class ApiProbe:
    """Answers the open questions, one after the other.

    Args:
        client: signed in; its budget limits the requests.
    """

    def __init__(self, client: HatifClient) -> None:
        self._client = client
        self._meter = Meter()
        self._samples: dict[str, tuple[str, Sample]] = {}

    async def answers(self) -> list[Answer]:
        """Answer every question; where that fails, give the reason."""
        found = []
        for question, find_out in _QUESTIONS:
            try:
                text, facts = await find_out(self)
            except RequestLimitReached as limit:
                text, facts = f"not tried: {limit}", {}
            except HatifError as error:
                text, facts = f"no answer: {error}", {}
            found.append(Answer(question, text, facts))
        return found

    async def times(self) -> _Facts:
        """Describe how each list's times are written, and how far they are from its ids."""
        facts: dict[str, Any] = {}
        for name, stream in STREAMS.items():
            if stream.whole or (path := await self._path(name)) is None:
                continue
            try:
                sample = await self._page(path, {"MaxResultCount": _SAMPLE})
            except ServiceError as error:
                facts[name] = {"no_answer": error.status}
                continue
            self._samples[name] = path, sample
            if stream.time_key is None:
                continue
            times = [text_of(row, stream.time_key) for row in sample.rows]
            calibration = Calibration()
            calibration.observe(times, [text_of(row, stream.time_id_key) for row in sample.rows])
            facts[name] = {
                "written": shapes.written(row.get(fold(stream.time_key)) for row in sample.rows),
                "minutes_from_id": calibration.offset_minutes(),
            }
        off = [name for name, fact in facts.items() if fact.get("minutes_from_id")]
        return (
            f"off: {', '.join(off)}" if off else "read as we do, no list's times are off"
        ), facts

    async def _path(self, name: str) -> str | None:
        stream = STREAMS[name]
        if stream.parent is None:
            return stream.path
        _, parents = self._samples.get(stream.parent, ("", Sample([], None)))
        ids = (text_of(row, STREAMS[stream.parent].id_key) for row in parents.rows)
        parent = next(filter(None, ids), None)
        return stream.list_path(parent) if parent else None

    async def sizes(self) -> _Facts:
        """Try the largest pages."""
        facts: dict[str, Any] = {}
        for name in ("contacts", "conversations", "timelines"):
            if name in self._samples:
                path, _ = self._samples[name]
                facts[name] = {str(size): await self._try_size(path, size) for size in _SIZES}
        tried = (
            f"{name} {', '.join(f'{size}: {what}' for size, what in results.items())}"
            for name, results in facts.items()
        )
        return "; ".join(tried) or "no list to try it on", facts

    async def _try_size(self, path: str, size: int) -> str:
        try:
            return f"{len((await self._page(path, {'MaxResultCount': size})).rows)} rows"
        except ServiceError as error:
            return f"refused ({error.status})"

    async def orders(self) -> _Facts:
        """Request orders and check whether the rows keep them."""
        facts: dict[str, str] = {}
        for name, sorting in (
            ("contacts", "CreationTime ASC"),
            ("contacts", "LastModificationTime DESC"),
            ("contacts", "Id ASC"),
            ("conversations", "CreationTime ASC"),
            ("conversations", "Id ASC"),
        ):
            if name in self._samples:
                path, _ = self._samples[name]
                facts[f"{name} by {sorting}"] = await self._try_order(path, sorting)
        kept = [tried for tried, verdict in facts.items() if verdict == "kept"]
        return f"kept: {', '.join(kept) or 'none'}", facts

    async def _try_order(self, path: str, sorting: str) -> str:
        key, _, direction = sorting.partition(" ")
        try:
            page = await self._page(path, {"Sorting": sorting, "MaxResultCount": _SAMPLE})
        except ServiceError as error:
            return f"refused ({error.status})"
        # A conversation's creation time is in its id alone.
        values = [row.get(fold(key), row.get("id")) for row in page.rows]
        return shapes.order(values, descending=direction == "DESC")

    async def filters(self) -> _Facts:
        """Try every documented filter of conversations: does it change their number?"""
        if "conversations" not in self._samples:
            return "no conversation to try them on", {}
        path, sample = self._samples["conversations"]
        facts: dict[str, str] = {}
        for name, value in shapes.filters(sample.rows).items():
            if value is None:
                facts[name] = "nothing to try it with"
                continue
            try:
                found = await self._page(path, {name: value, "MaxResultCount": 1})
            except ServiceError as error:
                facts[name] = f"refused ({error.status})"
            else:
                same = found.total == sample.total
                facts[name] = "no change" if same else f"{found.total} of {sample.total}"
        ignored = [name for name, effect in facts.items() if effect == "no change"]
        return f"without effect: {', '.join(ignored) or 'none'}", facts

    async def calls(self) -> _Facts:
        """Is there a list of calls, and does it name the customer?"""
        try:
            page = await self._page(_CALLS, {"maxResultCount": _SAMPLE})
        except ServiceError as error:
            return f"there is none ({error.status})", {}
        keys = shapes.filled(page.rows)
        named = [key for key in ("contactnumber", "contactid", "channelid") if keys.get(key)]
        return (
            f"there is one; it names: {', '.join(named) or 'neither customer nor channel'}",
            {"filled": keys, "sizes": {str(n): await self._try_size(_CALLS, n) for n in _SIZES}},
        )

    async def shapes(self) -> _Facts:
        """What are statistics, definitions and histories made of; does history page?"""
        facts: dict[str, Any] = {
            name: shapes.filled(self._samples[name][1].rows)
            for name in ("property_definitions", "contact_history")
            if name in self._samples
        }
        if path := await self._path("property_statistics"):
            facts["property_statistics"] = await self._client.get(
                path, {}, shapes.shape, self._meter
            )
        history = "no history to page through"
        if "contact_history" in self._samples:
            path, sample = self._samples["contact_history"]
            if len(sample.rows) > 1:
                one = await self._page(path, {"MaxResultCount": 1})
                history = "history pages" if len(one.rows) == 1 else "history does not page"
        return f"{history}; statistics: {facts.get('property_statistics', 'none')}", facts

    async def headers(self) -> _Facts:
        """Does an answer show how much of the request budget is left?"""
        names = sorted(name for name in self._client.header_names if _COUNTERS.search(name))
        return f"headers: {', '.join(names) or 'none'}", {"headers": names}

    async def conversation(self) -> _Facts:
        """How does a conversation read at its own address?"""
        ids = (text_of(row, "id") for row in self._rows("conversations"))
        conversation = next(filter(None, ids), None)
        if conversation is None:
            return "no conversation to fetch", {}
        own_path = STREAMS["conversations"].own_path or ""
        path = own_path.replace("{id}", quote(conversation, safe=""))
        row = await self._client.get(path, {}, shapes.folded, self._meter)
        facts = {
            "status": type(row.get("status")).__name__,
            "sentiment": type(row.get("sentiment")).__name__,
            "tags": next((type(tag).__name__ for tag in shapes.tags(row)), "none"),
        }
        return ", ".join(f"{key}: {kind}" for key, kind in facts.items()), facts

    async def closed(self) -> _Facts:
        """Does the list of conversations hold closed ones, and both calls and messages?"""
        rows = self._rows("conversations")
        facts = {
            "status": shapes.codes(rows, "status"),
            "lastEventSourceType": shapes.codes(rows, "lasteventsourcetype"),
        }
        return f"on one page, by code: {facts}", facts

    def _rows(self, name: str) -> list[Row]:
        return self._samples[name][1].rows if name in self._samples else []

    async def _page(self, path: str, params: Mapping[str, str | int]) -> Sample:
        return await self._client.get(path, params, shapes.decode, self._meter)


_Facts = tuple[str, dict[str, Any]]
_QUESTIONS: Sequence[tuple[str, Callable[[ApiProbe], Awaitable[_Facts]]]] = (
    ("how times are written", ApiProbe.times),
    ("the largest page", ApiProbe.sizes),
    ("which orders hold", ApiProbe.orders),
    ("which filters work", ApiProbe.filters),
    ("the list of calls", ApiProbe.calls),
    ("undocumented shapes", ApiProbe.shapes),
    ("one conversation", ApiProbe.conversation),
    ("closed conversations", ApiProbe.closed),
    ("rate-limit headers", ApiProbe.headers),
)
