"""What ``core.messages`` must hold, from the world and what was received.

Messages of conversations that are gone are left out: whether the warehouse remembers them
depends on when it looked. The key of a message without any id is only known to begin with
``hash:``.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from rehearsal import codes
from rehearsal.codes import canonical, canonical_status, canonical_word
from rehearsal.ids import SECOND, aware
from rehearsal.model import Event, More
from rehearsal.timelines import INBOUND, OUTBOUND, WHATSAPP
from rehearsal.truth_timelines import error
from rehearsal.webhooks.identity import Group, groups
from rehearsal.webhooks.ledger import Ledger, Received
from rehearsal.webhooks.notices import MessageNotice
from rehearsal.world import World

Row = dict[str, Any]
Found = TypeVar("Found")

_RANKS = ("pending", "sent", "failed", "delivered", "read")
_NOTHING = More()
_AUTO_REPLY = 30 * SECOND


def messages(world: World, ledger: Ledger, timelines: Collection[str] | None) -> Iterator[Row]:
    """Rows of ``core.messages``; ``timelines`` are the conversations read, by default all."""
    received: dict[str, list[Received]] = defaultdict(list)
    for found in ledger.of("message"):
        received[found.notice.event.conversation.id].append(found)
    for talk in world.conversations.values():
        is_read = timelines is None or talk.id in timelines
        rows = [event for event in talk.events if is_read and event.source == WHATSAPP]
        yield from _conversation(groups(rows, received[talk.id]))


def _conversation(found: list[Group]) -> Iterator[Row]:
    """In the conversation's order, by which automatic replies are found."""
    latest_outbound: int | None = None
    ordered = sorted(found, key=lambda group: (_sent(group), _event_id(group) or group.key))
    for group in ordered:
        at, direction = _sent(group), _subject(group).direction
        row = _message(group)
        row["is_probable_auto_reply"] = (
            direction == INBOUND
            and latest_outbound is not None
            and at - latest_outbound <= _AUTO_REPLY
        )
        yield row
        if direction == OUTBOUND:
            latest_outbound = at


def _message(group: Group) -> Row:
    event, subject, notices = group.event, _subject(group), group.notices
    more = (event.more if event else None) or _NOTHING
    places = [(t.event.more.location if t.event.more else None) for _, t in notices]
    latitude, longitude = (places[-1] if places and places[-1] else more.location or (None,) * 4)[
        :2
    ]
    handler = event.handler if event else None
    is_ai = handler is not None and handler.is_ai
    status = _status(group)
    billing = is_billable(notice for _, notice in notices)
    return {
        "message_key": event.id if event else group.key,
        "event_id": _event_id(group),
        "wamid": _last(group, lambda t: t.wamid),
        "conversation_id": subject.conversation.id,
        "contact_id": subject.conversation.contact.id,
        "channel_id": subject.conversation.channel.id,
        "direction": canonical(codes.DIRECTION, subject.direction),
        "message_type": canonical_word(_last(group, lambda t: t.type)),
        "body": _body(group),
        "media_url": _last(group, lambda t: t.event.more and t.event.more.attachment)
        or more.attachment,
        "mime_type": _last(group, lambda t: t.mime),
        "latitude": latitude,
        "longitude": longitude,
        "sent_at": aware(_sent(group)),
        "status": status,
        "delivered_at": _first(group, "Delivered"),
        "read_at": _first(group, "Read"),
        "failed_at": _first(group, "Failed"),
        **_error(group, status),
        "sender_user_id": _last(group, lambda t: t.sender_id),
        "owner_user_id": handler.user_id if handler and not is_ai else None,
        "ai_agent_id": handler.user_id if handler and is_ai else None,
        **_origin(group, subject.direction),
        "is_billable": billing,
        "is_charged": _is_charged(subject.direction, status, billing),
        **_changes(group),
        "in_timeline": event is not None,
        "in_webhooks": bool(notices),
    }


def is_billable(notices: Any) -> bool | None:
    """True if any delivery has it so, false if none did and one could have, else NULL."""
    given = list(notices)
    if any(notice.is_billable for notice in given):
        return True
    return False if any(notice.status != "Pending" for notice in given) else None


def _is_charged(direction: int, status: str | None, billing: bool | None) -> bool | None:
    if direction == INBOUND or status not in ("delivered", "read"):
        return False
    return billing


def _origin(group: Group, direction: int) -> Row:
    event = group.event
    handler = event.handler if event else None
    if direction == INBOUND:
        return {"origin": "customer", "origin_confidence": "stated"}
    if direction != OUTBOUND:
        return {"origin": None, "origin_confidence": None}
    sender = _last(group, lambda t: t.sender_id)
    if handler is not None and handler.is_ai:
        origin = "ai"
    elif sender is not None:
        origin = "agent"
    elif group.notices:
        is_template = _last(group, lambda t: t.type) == "Template"
        origin = "template" if is_template else "automatic"
    else:
        origin = "automatic" if handler is None else "agent"
    is_provisional = event is None and sender is None
    confidence = "provisional" if is_provisional else "stated"
    return {"origin": origin, "origin_confidence": confidence if group.notices else "assumed"}


def _status(group: Group) -> str | None:
    words = [canonical_status(notice.status) for _, notice in group.notices]
    if group.event is not None:
        words.insert(0, canonical_status(group.event.status))
    return max(words, key=lambda word: _RANKS.index(word) if word in _RANKS else -1)


def _error(group: Group, status: str | None) -> Row:
    if status != "failed":
        return {"error_code": None, "error_reason": None}
    number, reason = None, None
    if group.event is not None:
        number, reason = error(*_fault(group.event))
    for _, notice in group.notices:
        its_number, its_reason = error(*notice.error)
        number = number if its_number is None else its_number
        reason = reason if its_reason is None else its_reason
    return {"error_code": number, "error_reason": reason}


def _fault(event: Event) -> tuple[int | str | None, str | None]:
    more = event.more or _NOTHING
    return more.error_code, more.failure_reason


def _body(group: Group) -> str | None:
    for _, notice in reversed(group.edits):
        if notice.type == "MessageEdited":
            return notice.body
    body = _last(group, lambda t: t.body)
    return group.event.body if body is None and group.event else body


def _changes(group: Group) -> Row:
    times: dict[str, list[int]] = {"MessageEdited": [], "MessageDeleted": []}
    for receipt, notice in group.edits:
        times[notice.type].append(receipt.at)
    edited, withdrawn = times["MessageEdited"], times["MessageDeleted"]
    return {
        "edited_at": aware(max(edited)) if edited else None,
        "withdrawn_at": aware(min(withdrawn)) if withdrawn else None,
    }


def _subject(group: Group) -> Event:
    """The event all its notices are about; only its lasting parts are used."""
    return group.event or group.notices[-1][1].event


def _sent(group: Group) -> int:
    return group.event.at if group.event else group.notices[-1][1].created


def _event_id(group: Group) -> str | None:
    if group.event is not None:
        return group.event.id
    return min((t.event_id for _, t in group.notices if t.event_id), default=None)


def _first(group: Group, status: str) -> Any:
    """The earliest receive time that an envelope stated."""
    times = [
        receipt.at
        for receipt, notice in group.notices
        if notice.status == status and receipt.is_stated
    ]
    return aware(min(times)) if times else None


def _last(group: Group, part: Callable[[MessageNotice], Found | None]) -> Found | None:
    """The latest that is not null."""
    values = (part(notice) for _, notice in reversed(group.notices))
    return next((value for value in values if value is not None), None)
