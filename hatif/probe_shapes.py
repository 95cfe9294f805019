"""Shapes, counts and names of keys that describe what the service sends; no customer's text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from hatif.envelope import UNREADABLE, fold, unwrap
from hatif.errors import Undecodable

_DIGIT = re.compile(r"\d")
_NAME = re.compile(r"[A-Za-z_]{1,40}|\d{1,6}")
_TIME = re.compile(r"[\dTtZz:./+ -]{1,40}")

#: A record with folded keys.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """One page of a list: its records, and the list's length if given."""

    rows: list[Row]
    total: int | None


def filters(rows: list[Row]) -> dict[str, str | int | None]:
    """Return every documented filter, with a value that some conversations have and others not."""

    def first(key: str) -> str | None:
        return next(filter(None, (text_of(row, key) for row in rows)), None)

    tag = next((tag for row in rows for tag in tags(row)), None)
    activity = first("lastactivityat")
    return {
        "Status": 1,
        "AssigneeUserIds": first("assigneeid"),
        "ContactIds": first("contactid"),
        "TagIds": text_of(tag, "id") if isinstance(tag, dict) else None,
        "GetUnAssigned": "true",
        "Name": first("contactname"),
        "PhoneNumber": first("phonenumber"),
        "FromDate": activity,
        "ToDate": activity,
        "IsLost": "true",
    }


def order(values: list[Any], *, descending: bool) -> str:
    """Return in words whether a page's values keep an order."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return "too few rows to measure"
    if len({type(value) for value in known}) > 1 or not isinstance(known[0], (str, int, float)):
        return "values that have no order"
    if known != sorted(known, reverse=descending):
        return "not kept"
    if len(known) == len(values):
        return "kept"
    return "kept, rows without a value first" if values[0] is None else "kept, those without last"


def filled(rows: list[Row]) -> dict[str, int]:
    """Return how many rows have a value, by key."""
    keys = sorted({key for row in rows for key in row})
    return {key: sum(row.get(key) is not None for row in rows) for key in keys}


def codes(rows: list[Row], key: str) -> dict[str, int]:
    """Return how many rows have each code; what is no code is named by its type."""
    found = [_code(row.get(key)) for row in rows]
    return {code: found.count(code) for code in sorted(set(found))}


def _code(value: Any) -> str:
    if value is None or isinstance(value, int):
        return str(value)
    is_name = isinstance(value, str) and _NAME.fullmatch(value)
    return str(value) if is_name else type(value).__name__


def decode(body: bytes) -> Sample:
    """Return a page of a list; a row that is no object is left out.

    Raises:
        Undecodable: it is no list.
    """
    records, total, *_ = unwrap(body)
    rows = (_json(bytes(record)) for record in records)
    return Sample([_fold_keys(row) for row in rows if isinstance(row, dict)], total)


def folded(body: bytes) -> Row:
    """Return one record with folded keys.

    Raises:
        Undecodable: it is no object.
    """
    value = _json(body)
    if not isinstance(value, dict):
        raise Undecodable("it is no object")
    return _fold_keys(value)


def _fold_keys(row: Row) -> Row:
    return {fold(key): inner for key, inner in row.items()}


def text_of(row: Row, key: str | None) -> str | None:
    """Return the text of a record's key, None where there is none or it is no text."""
    value = row.get(fold(key)) if key else None
    return value if isinstance(value, str) and value else None


def tags(row: Row) -> list[Any]:
    """Return a conversation's tags, in whatever shape each comes."""
    value = row.get("tags")
    return value if isinstance(value, list) else []


def written(times: Iterable[Any]) -> list[str]:
    """Return the forms that times are written in, every digit as 9; others by their types."""
    return sorted({_form(time) for time in times if time is not None and time != ""})


def _form(time: Any) -> str:
    if not isinstance(time, str):
        return type(time).__name__
    return _DIGIT.sub("9", time) if _TIME.fullmatch(time) else "other text"


def shape(body: bytes) -> str:
    """Return the shape of a value in words; keys are named only where they are a record's."""
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
