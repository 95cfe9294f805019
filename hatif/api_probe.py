"""A probe of a live workspace for what the service's documentation leaves open; it only reads.

Some forty requests: one page of each list, then sizes, orders and filters tried on them. What comes
back is described by shapes, counts and names of keys; no text of a customer leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hatif.calibration import Calibration
from hatif.client import HatifClient
from hatif.envelope import UNREADABLE, fold, unwrap
from hatif.errors import HatifError, RequestLimitReached, ServiceError, Undecodable
from hatif.findings import Answer
from hatif.sender import Meter
from hatif.streams import STREAMS

_SAMPLE = 50
_SIZES = (1000, 1001)  # the framework's maximum, and one more
_CALLS = "/v1/call/list"
_COUNTERS = re.compile(r"rate|limit|quota|retry", re.IGNORECASE)
_DIGIT = re.compile(r"\d")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Sample:
    """One page of a list: its records with folded keys, and the list's length if given."""

    rows: list[Row]
    total: int | None


class ApiProbe:
    """Answers the open questions, one after the other.

    Args:
        client: signed in; its budget limits the requests.
    """

    def __init__(self, client: HatifClient) -> None:
        self._client = client
        self._meter = Meter()
        self._samples: dict[str, tuple[str, _Sample]] = {}

    async def answers(self) -> list[Answer]:
        """Answer every question; where that fails, give the reason."""
        found = []
        for question, ask in _QUESTIONS:
            try:
                says, facts = await ask(self)
            except RequestLimitReached as limit:
                says, facts = f"not tried: {limit}", {}
            except HatifError as error:
                says, facts = f"no answer: {error}", {}
            found.append(Answer(question, says, facts))
        return found

    async def times(self) -> _Facts:
        """Look at a page of every list: how its times are written, and how far from its ids."""
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
            times = [row.get(fold(stream.time_key)) for row in sample.rows]
            calibration = Calibration()
            calibration.observe(times, [row.get(fold(stream.time_id_key)) for row in sample.rows])
            facts[name] = {
                "written": sorted({_DIGIT.sub("9", time) for time in times if time}),
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
        _, parents = self._samples.get(stream.parent, ("", _Sample([], None)))
        ids = [row[fold(STREAMS[stream.parent].id_key)] for row in parents.rows]
        return stream.path.format(parent=ids[0]) if ids else None

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
        """Ask for orders and look whether the rows keep them."""
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
        return _order(values, descending=direction == "DESC")

    async def filters(self) -> _Facts:
        """Try every documented filter of conversations: does it change their number?"""
        if "conversations" not in self._samples:
            return "no conversation to try them on", {}
        path, sample = self._samples["conversations"]
        facts: dict[str, str] = {}
        for name, value in _filters(sample.rows).items():
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
        keys = _filled(page.rows)
        named = [key for key in ("contactnumber", "contactid", "channelid") if keys.get(key)]
        return (
            f"there is one; it names: {', '.join(named) or 'neither customer nor channel'}",
            {"filled": keys, "sizes": {str(n): await self._try_size(_CALLS, n) for n in _SIZES}},
        )

    async def shapes(self) -> _Facts:
        """What are statistics, definitions and histories made of; does history page?"""
        facts: dict[str, Any] = {
            name: _filled(self._samples[name][1].rows)
            for name in ("property_definitions", "contact_history")
            if name in self._samples
        }
        if path := await self._path("property_statistics"):
            facts["property_statistics"] = await self._client.get(path, {}, _shape, self._meter)
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
        rows = self._samples["conversations"][1].rows if "conversations" in self._samples else []
        if not rows:
            return "no conversation to ask for", {}
        path = (STREAMS["conversations"].own_path or "").format(id=rows[0]["id"])
        row = await self._client.get(path, {}, _folded, self._meter)
        tags = row.get("tags") or []
        facts = {
            "status": type(row.get("status")).__name__,
            "sentiment": type(row.get("sentiment")).__name__,
            "tags": type(tags[0]).__name__ if tags else "none",
        }
        return ", ".join(f"{key}: {kind}" for key, kind in facts.items()), facts

    async def closed(self) -> _Facts:
        """Does the list of conversations hold closed ones, and both calls and messages?"""
        rows = self._samples["conversations"][1].rows if "conversations" in self._samples else []
        facts = {
            "status": _codes(rows, "status"),
            "lastEventSourceType": _codes(rows, "lasteventsourcetype"),
        }
        return f"on one page, by code: {facts}", facts

    async def _page(self, path: str, params: Mapping[str, str | int]) -> _Sample:
        return await self._client.get(path, params, _decode, self._meter)


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


def _filters(rows: list[Row]) -> dict[str, str | int | None]:
    """Every documented filter, with a value that some conversations have and others have not."""

    def first(key: str) -> Any:
        return next((row[key] for row in rows if row.get(key)), None)

    tag = next((tag for row in rows for tag in row.get("tags") or []), None)
    activity = first("lastactivityat")
    return {
        "Status": 1,
        "AssigneeUserIds": first("assigneeid"),
        "ContactIds": first("contactid"),
        "TagIds": tag.get("id") if isinstance(tag, dict) else None,
        "GetUnAssigned": "true",
        "Name": first("contactname"),
        "PhoneNumber": first("phonenumber"),
        "FromDate": activity,
        "ToDate": activity,
        "IsLost": "true",
    }


def _order(values: list[Any], *, descending: bool) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return "too few rows to measure"
    if known != sorted(known, reverse=descending):
        return "not kept"
    if len(known) == len(values):
        return "kept"
    return "kept, rows without a value first" if values[0] is None else "kept, those without last"


def _filled(rows: list[Row]) -> dict[str, int]:
    """How many rows have a value, by key."""
    keys = sorted({key for row in rows for key in row})
    return {key: sum(row.get(key) is not None for row in rows) for key in keys}


def _codes(rows: list[Row], key: str) -> dict[str, int]:
    found = [str(row.get(key)) for row in rows]
    return {code: found.count(code) for code in sorted(set(found))}


def _decode(body: bytes) -> _Sample:
    records, total, *_ = unwrap(body)
    return _Sample([_folded(bytes(record)) for record in records], total)


def _folded(body: bytes) -> Row:
    value = _json(body)
    if not isinstance(value, dict):
        raise Undecodable("it is no object")
    return {fold(key): inner for key, inner in value.items()}


def _shape(body: bytes) -> str:
    """Describe the shape of a value; keys are named only where they are a record's."""
    value = _json(body)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return f"list of objects with {', '.join(sorted(set().union(*value)))}"
    if isinstance(value, list):
        return f"list of {', '.join(sorted({type(item).__name__ for item in value})) or 'nothing'}"
    if isinstance(value, dict):
        return f"object of {', '.join(sorted({type(v).__name__ for v in value.values()}))}"
    return type(value).__name__


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        raise Undecodable("the body is no complete JSON") from None
