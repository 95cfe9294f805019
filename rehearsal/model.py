"""The records of the world, as the service's own database would know them.

Instants are microseconds since 1970 (UTC); codes are the service's integers. Slots keep
half a million events in memory; records are compared by identity, not content.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple


class Phone(NamedTuple):
    """A number as it is sent, with what a reader should make of it."""

    text: str
    country: str


class Assignation(NamedTuple):
    """The assignee of a conversation, and who assigned it; no assignee means unassigned."""

    to: User | None
    by: User | None


@dataclass(slots=True, eq=False)
class Channel:
    """A line of the workspace; ``hook`` can carry a secret and must not be stored."""

    id: str
    name: str
    type: int
    number: str
    phone_id: str
    created: int
    modified: int | None
    creator_id: str
    hook: str | None


@dataclass(slots=True, eq=False)
class User:
    """A member or an AI agent: ``id`` is the membership, ``user_id`` what others point at."""

    id: str
    user_id: str
    name: str
    email: str | None
    phone: str | None
    role: int
    is_ai: bool
    created: int


@dataclass(slots=True, eq=False)
class Tag:
    """A conversation tag."""

    id: str
    name: str
    icon: str | None
    pinned: bool
    created: int


@dataclass(slots=True, eq=False)
class Definition:
    """A custom property; ``options`` are (value, colour) pairs of a select."""

    id: str
    name: str
    key: str
    type: int
    required: bool
    options: list[tuple[str, str | None]] | None
    created: int
    modified: int | None
    creator_id: str


@dataclass(slots=True, eq=False)
class PropertyValue:
    """One contact's value of one property: text, number, option or date, by its type."""

    definition: Definition
    value: str | float | date


@dataclass(slots=True, eq=False)
class Note:
    """A note on a contact."""

    id: str
    text: str
    author: User
    created: int


@dataclass(slots=True, eq=False)
class HistoryRow:
    """One logged change of one contact field."""

    id: str
    property_name: str
    old: str | None
    new: str | None
    created: int
    creator_id: str | None


@dataclass(slots=True, eq=False)
class Contact:
    """A person or firm, or just a number that once wrote."""

    id: str
    name: str
    phone: Phone | None
    type: int
    created: int
    creator_id: str | None
    email: str | None = None
    company: str | None = None
    position: str | None = None
    custom_fields: dict[str, Any] | None = None
    modified: int | None = None
    modifier_id: str | None = None
    notes: list[Note] = field(default_factory=list)
    properties: list[PropertyValue] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Conversation:
    """The one conversation of a contact on a channel, with its whole timeline."""

    id: str
    channel: Channel
    contact: Contact
    status: int
    sentiment: int | None
    created: int
    active: int
    assignee: User | None = None
    tags: list[Tag] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Event:
    """A message, a call or an assignation; what only some have is in ``more``."""

    id: str
    conversation: Conversation
    source: int
    direction: int
    at: int
    status: str | None
    source_id: str | None = None
    body: str | None = None
    handler: User | None = None
    handler_name: str | None = None
    more: More | None = None


@dataclass(slots=True, eq=False)
class More:
    """The rarer parts of an event. Durations are microseconds."""

    error_code: int | str | None = None
    failure_reason: str | None = None
    attachment: str | None = None
    media_size: str | None = None
    duration: int | None = None
    ringing: int | None = None
    summary: str | None = None
    transcription: str | None = None
    reply_to: tuple[str, str | None] | None = None
    thread: tuple[str, bool, int] | None = None
    location: tuple[float, float, str | None, str | None] | None = None
    assignation: Assignation | None = None
