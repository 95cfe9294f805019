"""Notices: the facts of one webhook delivery, before they are written as JSON.

Instants are microseconds since 1970 (UTC), as everywhere in the world; ``at`` is when the
service sends the delivery for the first time.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from rehearsal.model import Event
from rehearsal.world import World

Kind = Literal["message", "call", "ivr", "workspace"]
Vocabulary = Literal["numbers", "prose", "schema"]


@dataclass(frozen=True, slots=True)
class MessageNotice:
    """A WhatsApp message as one delivery shows it; ids and ``body`` are what it carries."""

    at: int
    event: Event
    created: int
    status: str
    type: str
    body: str | None
    event_id: str | None
    wamid: str | None
    sender_id: str | None
    mime: str | None
    is_billable: bool

    kind: Kind = "message"

    @property
    def is_edit(self) -> bool:
        """Whether it reports a change of another message."""
        return self.type in ("MessageEdited", "MessageDeleted")

    @property
    def error(self) -> tuple[int | str | None, str | None]:
        """Code and reason, given with the status ``Failed`` only."""
        more = self.event.more
        if self.status != "Failed" or more is None:
            return None, None
        return more.error_code, more.failure_reason


@dataclass(frozen=True, slots=True)
class CallNotice:
    """A call as one delivery shows it; ``status`` is a code of ``codes.CALL_STATUS``."""

    at: int
    event: Event
    created: int
    call_id: str
    contact_id: str | None
    numbers: tuple[str | None, str | None, str | None]
    status: int
    picked_up: int | None = None
    ended: int | None = None
    recording: str | None = None
    summary: str | None = None
    transcription: str | None = None
    sentiment: int | None = None
    csat: tuple[int, str, int] | None = None

    kind: Kind = "call"

    @property
    def length(self) -> int | None:
        """Microseconds talked, once it is over."""
        if self.ended is None or self.picked_up is None or self.event.more is None:
            return None
        return self.event.more.duration


@dataclass(frozen=True, slots=True)
class IvrNotice:
    """An automatic outbound call; ``status`` and ``result`` are words of its vocabulary."""

    at: int
    event: Event
    ivr_id: str
    call_id: str
    vocabulary: Vocabulary
    number: str
    status: str
    result: str | None
    external_id: str | None
    digit: str | None = None
    initiated: int | None = None
    ringing: int | None = None
    answered: int | None = None
    completed: int | None = None
    error: str | None = None
    cause: str | None = None

    kind: Kind = "ivr"

    @property
    def seconds(self) -> int | None:
        """Whole seconds from answer to end."""
        if self.answered is None or self.completed is None:
            return None
        return (self.completed - self.answered) // 1_000_000


@dataclass(frozen=True, slots=True)
class WorkspaceNotice:
    """A hint that something about a conversation changed."""

    at: int
    event: Event
    event_type: Literal["AssignedUserIdChanged", "LastEventUpdated"]

    kind: Kind = "workspace"


Notice = MessageNotice | CallNotice | IvrNotice | WorkspaceNotice


def dice(world: World, event: Event, purpose: str) -> Random:
    """Random numbers that belong to an event: the same at every call."""
    return Random(f"{world.spec.seed} {event.id} {purpose}")
