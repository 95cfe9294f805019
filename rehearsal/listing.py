"""Paging, sorting and filtering as ABP does them: a list request's parameters and order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rehearsal.abp import AbpError, internal, invalid
from rehearsal.model import Contact, Conversation, Event, HistoryRow, Tag
from rehearsal.spec import Quirks

DEFAULT_PAGE = 10
_DIRECTIONS = {"asc": False, "ascending": False, "desc": True, "descending": True}

Key = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One list request, validated: ``take`` is what will be served, silent cap included."""

    skip: int
    take: int
    sorting: str

    @classmethod
    def parse(cls, query: Mapping[str, str], quirks: Quirks) -> "Listing":
        """Read lower-case query parameters.

        Raises:
            AbpError: 400 for a page out of range.
        """
        take = _integer(query, "maxResultCount", DEFAULT_PAGE)
        if not 1 <= take <= quirks.max_page:
            raise _size_refused(quirks)
        skip = _integer(query, "skipCount", 0)
        if skip < 0:
            raise invalid("skipCount", "The field SkipCount must be between 0 and 2147483647.")
        if quirks.max_offset is not None and skip + take > quirks.max_offset:
            raise AbpError(400, f"Result window is too large, at most {quirks.max_offset}.")
        if quirks.slow_page is not None and take > quirks.slow_page:
            raise AbpError(504, "The request took too long.")
        if any(skip <= position < skip + take for position in quirks.poisoned):
            raise internal()
        sorting = "" if quirks.ignore_sorting else query.get("sorting", "")
        return cls(skip, min(take, quirks.page_cap or take), sorting.strip().lower())


def _size_refused(quirks: Quirks) -> AbpError:
    """The error for a page that is too large, in the form that the quirk names."""
    limit = f"must be between 1 and {quirks.max_page}."
    refused = invalid("maxResultCount", f"The field MaxResultCount {limit}")
    if quirks.size_refusal == "nameless":
        refused.body = msgspec.json.encode({"error": {"validationErrors": [{"members": []}]}})
    elif quirks.size_refusal == "problem":
        problem = {"title": "Bad Request", "status": 400, "errors": {"MaxResultCount": [limit]}}
        refused.body = msgspec.json.encode(problem)
    elif quirks.size_refusal == "text":
        refused.body = b"page too large"
    elif quirks.size_refusal == "422":
        refused = AbpError(422, f"The page {limit}")
    elif quirks.size_refusal == "403":
        refused = AbpError(403, f"The page {limit}", code="Voxa:PageTooLarge")
    return refused


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name.lower(), "").strip()
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise invalid(name, f"The value '{text}' is not valid for {name}.") from None


@dataclass(frozen=True, slots=True)
class Order:
    """What a list can be sorted by, and its default order."""

    default: str
    keys: Mapping[str, Key]

    def apply(self, rows: Sequence[Any], sorting: str) -> list[Any]:
        """Rows in the requested order, ties by id; nulls last ascending, first descending.

        Raises:
            AbpError: 500 for a property or direction that does not exist.
        """
        ordered = sorted(rows, key=lambda row: row.id)
        for part in reversed((sorting or self.default).split(",")):
            name, _, direction = part.strip().partition(" ")
            key = self.keys.get(name)
            descending = _DIRECTIONS.get(direction.strip() or "asc")
            if key is None or descending is None:
                raise internal()
            ordered.sort(key=_nulls_as_largest(key), reverse=descending)
        return ordered


def _nulls_as_largest(key: Key) -> Key:
    def sort_key(row: Any) -> tuple[bool, Any]:
        value = key(row)
        return value is None, value

    return sort_key


def _of(*pairs: tuple[str, Key]) -> dict[str, Key]:
    return dict(pairs)


_ID: tuple[str, Key] = ("id", lambda row: row.id)
_CREATED: tuple[str, Key] = ("creationtime", lambda row: row.created)
_NAME: tuple[str, Key] = ("name", lambda row: row.name)
_MODIFIED: tuple[str, Key] = ("lastmodificationtime", lambda row: row.modified)


def _phone_text(contact: Contact) -> str | None:
    return contact.phone.text if contact.phone else None


def _active(talk: Conversation) -> int:
    return talk.active


def _at(event: Event) -> int:
    return event.at


def _pinned(tag: Tag) -> bool:
    return tag.pinned


def _changed_property(row: HistoryRow) -> str:
    return row.property_name


ORDERS: dict[str, Order] = {
    "channels": Order("creationtime asc", _of(_ID, _CREATED, _NAME, _MODIFIED)),
    "tags": Order("creationtime asc", _of(_ID, _CREATED, _NAME, ("ispinned", _pinned))),
    "contacts": Order(
        "creationtime desc",
        _of(
            _ID,
            _CREATED,
            _NAME,
            _MODIFIED,
            ("phonenumber", _phone_text),
            ("email", lambda contact: contact.email),
            ("company", lambda contact: contact.company),
        ),
    ),
    "contact_history": Order(
        "creationtime desc", _of(_ID, _CREATED, ("propertyname", _changed_property))
    ),
    "conversations": Order(
        "lastactivityat desc",
        _of(_ID, _CREATED, ("lastactivityat", _active), ("status", lambda talk: talk.status)),
    ),
    "timelines": Order(
        "creationtime desc",
        _of(("id", lambda e: e.id), ("creationtime", _at), ("direction", lambda e: e.direction)),
    ),
}
