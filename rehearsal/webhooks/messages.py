"""Webhooks of a WhatsApp message, from Pending to Read or Failed.

Types, message ids and billing are known nowhere else, so they are decided here: from the
world's seed and the event alone, in accordance with what the timeline shows of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from rehearsal import content
from rehearsal.ids import DAY, HOUR, MINUTE, SECOND, micros, random_guid
from rehearsal.model import Event
from rehearsal.timelines import INBOUND, OUTBOUND, WHATSAPP
from rehearsal.webhooks.notices import MessageNotice, dice
from rehearsal.world import World

SERVICE_MESSAGES_CHARGED_FROM = micros(datetime(2026, 10, 1, tzinfo=UTC))
"""From here on some replies cost something, not templates alone."""

_MEDIA = {
    "jpg": ("Image", "image/jpeg"),
    "mp4": ("Video", "video/mp4"),
    "ogg": ("Audio", "audio/ogg; codecs=opus"),
    "pdf": ("Document", "application/pdf"),
}
_PATHS = {
    "Pending": ("Pending",),
    "Delivered": ("Pending", "Sent", "Delivered"),
    "Read": ("Pending", "Sent", "Delivered", "Read"),
}
_FAILED = (("Pending", "Failed"), ("Pending", "Sent", "Failed"))
#: Shortest and longest wait before a status is reached, and the longest of the slow tenth.
_WAITS = {
    "Pending": (SECOND // 10, SECOND, SECOND),
    "Sent": (SECOND // 4, 3 * SECOND, MINUTE),
    "Delivered": (SECOND // 2, 40 * SECOND, 6 * HOUR),
    "Read": (5 * SECOND, 2 * HOUR, 3 * DAY),
    "Failed": (SECOND, 30 * SECOND, HOUR),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a message for good.

    Attributes:
        type: as webhooks name it.
        mime: of its medium.
        wamid: WhatsApp's own id.
        sender_id: the person who sent it from the portal.
        created: its own time; the timeline cuts it to the second.
        is_chargeable: it costs something once delivered.
        priced_on: the later status that carries the price, if it is reached.
    """

    type: str
    mime: str | None
    wamid: str
    sender_id: str | None
    created: int
    is_chargeable: bool
    priced_on: str


def has_webhooks(event: Event) -> bool:
    """Whether webhooks report the message: those of either defined direction."""
    return event.source == WHATSAPP and event.direction in (INBOUND, OUTBOUND)


def facts(world: World, event: Event) -> Facts:
    """What is true of a message for good."""
    rng = dice(world, event, "facts")
    kind, mime = _type(world, event, rng)
    handler = event.handler
    is_signed = event.direction == OUTBOUND and handler is not None and not handler.is_ai
    return Facts(
        type=kind,
        mime=mime,
        wamid=f"wamid.{rng.getrandbits(160):040X}",
        sender_id=handler.user_id if handler and is_signed and rng.random() < 0.8 else None,
        created=event.at + (rng.randrange(SECOND) if rng.random() < 0.5 else 0),
        is_chargeable=_is_chargeable(event, kind, rng.random()),
        priced_on="Delivered" if rng.random() < 0.8 else "Read",
    )


def notices(world: World, event: Event) -> list[MessageNotice]:
    """Every delivery about this message so far, some of them yet to come; oldest first."""
    if not has_webhooks(event):
        return []
    known = facts(world, event)
    rng = dice(world, event, "message")
    course = list(_inbound(world, event, known, rng))
    if event.direction == OUTBOUND:
        course = list(_outbound(world, event, known, rng))
    course += _edits(world, event, known)
    return sorted(course, key=lambda notice: notice.at)


def _type(world: World, event: Event, rng: Random) -> tuple[str, str | None]:
    more, roll = event.more, rng.random()
    if event.id in world.template_messages:
        return "Template", None
    if more is not None and more.attachment is not None:
        kind, mime = _MEDIA[more.attachment.rpartition(".")[2]]
        return ("Sticker", "image/webp") if kind == "Image" and roll < 0.2 else (kind, mime)
    if more is not None and more.location is not None:
        return "Location", None
    if event.direction == INBOUND:
        rare = ("Contact", "Interactive", "Unsupported")
        return (rare[int(roll * 60)] if roll < 0.05 else "Text"), None
    if event.handler is None:
        return ("Template" if roll < 0.6 else "Text"), None
    share = 0.0 if event.handler.is_ai else 0.15
    return ("Template" if roll < share else "Interactive" if roll > 0.97 else "Text"), None


def _is_chargeable(event: Event, kind: str, roll: float) -> bool:
    if event.direction != OUTBOUND:
        return False
    if event.at >= SERVICE_MESSAGES_CHARGED_FROM:
        return roll < (0.95 if kind == "Template" else 0.6)
    return kind == "Template" and roll < 0.85


def _inbound(world: World, event: Event, known: Facts, rng: Random) -> Iterator[MessageNotice]:
    """It has arrived, now and then at first without its id; and later it may be read."""
    at = known.created + _wait("Sent", rng)
    if rng.random() < world.spec.habits.nulls:
        yield _notice(world, event, known, rng, at, "Delivered", wamid=None)
        at += 1 + rng.randrange(5 * SECOND)
    yield _notice(world, event, known, rng, at, "Delivered", wamid=known.wamid)
    if rng.random() < 0.6:
        at += _wait("Read", rng)
        yield _notice(world, event, known, rng, at, "Read", wamid=known.wamid)


def _outbound(world: World, event: Event, known: Facts, rng: Random) -> Iterator[MessageNotice]:
    """One delivery for each status it reaches; none changes because of a later one."""
    is_late = rng.random() < world.spec.habits.nulls
    path = list(_path(world, event, known, rng))
    is_skipped = "Delivered" not in dict(path)
    priced = {"Sent", "Read" if is_skipped else known.priced_on}
    for status, at in path:
        has_id = status != "Pending" and not (status == "Sent" and is_late)
        yield _notice(
            world,
            event,
            known,
            rng,
            at,
            status,
            wamid=known.wamid if has_id else None,
            is_billable=known.is_chargeable and status in priced,
        )


def _path(world: World, event: Event, known: Facts, rng: Random) -> Iterator[tuple[str, int]]:
    """The statuses it went through and when: those of the start, then those it moved to."""
    moves = world.moves.get(event.id, [(event.at, event.status or "")])
    first, later = moves[0][1], moves[1:]
    words = list(_PATHS.get(first, ("Pending", "Sent")))
    if first == "Failed":
        words = list(rng.choice(_FAILED))
    if first == "Read" and rng.random() < 0.1:
        words.remove("Delivered")
    at = known.created
    for word in words:
        at += _wait(word, rng)
        # What it moved on from had been reached by then.
        yield word, min(at, later[0][0] - 1) if later else at
    for instant, word in later:
        yield word, instant


def _notice(
    world: World,
    event: Event,
    known: Facts,
    rng: Random,
    at: int,
    status: str,
    *,
    wamid: str | None,
    is_billable: bool = False,
) -> MessageNotice:
    is_named = rng.random() >= world.spec.habits.without_event_id
    return MessageNotice(
        at=at,
        event=event,
        created=known.created,
        status=status,
        type=known.type,
        body=None if known.type == "Unsupported" else event.body,
        event_id=event.id if is_named else None,
        wamid=wamid,
        sender_id=known.sender_id,
        mime=known.mime,
        is_billable=is_billable,
    )


def _edits(world: World, event: Event, known: Facts) -> Iterator[MessageNotice]:
    """It may be edited or withdrawn; one in ten times the original cannot be found from it."""
    rng = dice(world, event, "edit")
    if rng.random() >= world.spec.habits.edits or event.id in world.template_messages:
        return
    is_withdrawn, is_lost = rng.random() < 0.3, rng.random() < 0.1
    is_inbound = event.direction == INBOUND
    yield MessageNotice(
        at=known.created + MINUTE + rng.randrange(29 * MINUTE),
        event=event,
        created=known.created,
        status="Delivered" if is_inbound else "Sent",
        type="MessageDeleted" if is_withdrawn else "MessageEdited",
        body=None if is_withdrawn else content.message(rng, is_inbound, 0.0) + " *",
        event_id=random_guid(rng) if is_lost else event.id,
        wamid=f"wamid.{rng.getrandbits(160):040X}" if is_lost else known.wamid,
        sender_id=known.sender_id,
        mime=None,
        is_billable=False,
    )


def _wait(status: str, rng: Random) -> int:
    shortest, longest, slowest = _WAITS[status]
    roll = rng.random()
    reach = slowest if roll > 0.9 else longest
    return shortest + int((reach - shortest) * rng.random() ** 3)
