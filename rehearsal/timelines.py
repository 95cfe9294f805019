"""Conversations, and the messages, calls and assignations in their timelines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING

from rehearsal import content
from rehearsal.ids import DAY, HOUR, MINUTE, SECOND, sequential_guid
from rehearsal.model import Assignation, Channel, Contact, Conversation, Event, More, User

if TYPE_CHECKING:
    from rehearsal.world import World

CALL, WHATSAPP, ASSIGNATION = 1, 2, 3
INBOUND, OUTBOUND, INTERNAL = 1, 2, 3
OPEN, CLOSED = 1, 2

_SETTLED = ("Read",) * 55 + ("Delivered",) * 25 + ("Sent",) * 9 + ("Failed",) * 9 + ("Pending",) * 2
_FRESH = ("Pending",) * 3 + ("Sent",) * 4 + ("Delivered",) * 4 + ("Read",) * 2 + ("Failed",)
_CALLS = (
    ("Answered",) * 70
    + ("Missed",) * 14
    + ("NoAnswer",) * 10
    + ("Failed",) * 3
    + (
        "Cancelled",
        "Completed",
        "Completed",
    )
)
_RARE_STATUSES = ("Rejected", "Rejected", "Throttled", "8")
_LONG = 500


def conversations(world: World, rng: Random) -> Iterator[Conversation]:
    """The conversations of the start, with their timelines."""
    writer = TimelineWriter(world, rng)
    lengths = _lengths(world.spec.conversations, world.spec.events, rng)
    for (contact, channel), length in zip(_pairs(world, rng), lengths, strict=True):
        delay = rng.randrange(4 * SECOND) if rng.random() < 0.7 else rng.randrange(30 * DAY)
        created = min(contact.created + delay, world.now - 30 * MINUTE)
        conversation = writer.open(contact, channel, created)
        writer.write(conversation, length)
        yield conversation


def _pairs(world: World, rng: Random) -> list[tuple[Contact, Channel]]:
    """One conversation a contact and channel: most contacts have one, some two or none."""
    lines = list(world.channels.values())
    first: list[tuple[Contact, Channel]] = []
    more: list[tuple[Contact, Channel]] = []
    for contact in world.contacts.values():
        rng.shuffle(lines)
        first.append((contact, lines[0]))
        more.extend((contact, line) for line in lines[1:])
    rng.shuffle(first)
    rng.shuffle(more)
    wanted = world.spec.conversations
    extra = min(len(more), max(wanted // 10, wanted - len(first)))
    return first[: wanted - extra] + more[:extra]


def _lengths(conversations: int, events: int, rng: Random) -> list[int]:
    """Uneven shares that add up to ``events``: a few above 500, some empty."""
    if not conversations:
        return []
    lengths = [0] * conversations
    long = max(1, conversations // 1000) if events > 6 * _LONG and conversations > 20 else 0
    for index in rng.sample(range(conversations), long):
        lengths[index] = min(_LONG + 1 + rng.randrange(200), events // (long + 1))
    weights = [0.0 if rng.random() < 0.05 else rng.paretovariate(1.1) for _ in lengths]
    if not any(weights):
        weights = [1.0] * conversations
    cumulative = list(accumulate(min(weight, 60.0) for weight in weights))
    for index in rng.choices(range(conversations), cum_weights=cumulative, k=events - sum(lengths)):
        lengths[index] += 1
    return lengths


class TimelineWriter:
    """Writes conversations; all chance comes from the generator it is given."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world, self.rng = world, rng
        self.members, self.agents = world.members, world.agents
        self.tags = list(world.tags.values())

    def open(self, contact: Contact, channel: Channel, created: int) -> Conversation:
        """A conversation without events."""
        rng = self.rng
        unknown = self.world.spec.unknown_codes
        assignee = rng.choice((None, *self.members, *self.agents))
        return Conversation(
            id=sequential_guid(created, rng),
            channel=channel,
            contact=contact,
            status=3 if rng.random() < unknown else rng.choice((1, 1, 2)),
            sentiment=7 if rng.random() < unknown else rng.choice((None, None, 1, 2, 3, 4, 5)),
            created=created,
            active=created // SECOND * SECOND,
            assignee=assignee,
            tags=rng.sample(self.tags, min(len(self.tags), rng.choice((0, 0, 0, 1, 1, 2, 3)))),
        )

    def write(self, conversation: Conversation, count: int) -> None:
        """Fill a new conversation with its history."""
        # Rows of an import carry the id of the day they were written, not of the message.
        lag = _days_of_lag(self.rng) if self.rng.random() < 0.015 else 0
        for at in self._moments(conversation.created, count):
            self.add(conversation, at, lag)

    def add(self, conversation: Conversation, at: int, lag: int = 0) -> Event:
        """The next event, of a kind that the channel can carry; times are whole seconds."""
        at = at // SECOND * SECOND
        inserted = min(at + lag + int(self.rng.random() * 2_500_000), self.world.now)
        roll = self.rng.random()
        if roll < 0.04:
            event = self._assignation(conversation, at, inserted)
        elif conversation.channel.type == 1 or (roll < 0.13 and conversation.channel.type == 3):
            event = self._call(conversation, at, inserted)
        else:
            event = self._message(conversation, at, inserted)
        if self.rng.random() < self.world.spec.unknown_codes:
            self._make_strange(event)
        conversation.events.append(event)
        conversation.active = max(conversation.active, at)
        return event

    def _moments(self, start: int, count: int) -> Iterator[int]:
        """Bursts of minutes with days between them, squeezed to end before now."""
        random = self.rng.random
        gaps = [
            random() * 400 if random() < 0.85 else random() * random() * 20 * 86_400
            for _ in range(count)
        ]
        room = ((self.world.now - start) / SECOND - 10) * random() ** 0.3
        scale = min(1.0, room / (sum(gaps) or 1.0))
        at = start / SECOND
        for gap in gaps:
            at += gap * scale
            yield int(at) * SECOND

    def _message(self, conversation: Conversation, at: int, inserted: int) -> Event:
        random = self.rng.random
        inbound = random() < 0.52
        event = Event(
            id=sequential_guid(inserted, self.rng),
            conversation=conversation,
            source=WHATSAPP,
            direction=INBOUND if inbound else OUTBOUND,
            at=at,
            status="Read" if inbound else self._outbound_status(at),
            source_id=sequential_guid(inserted, self.rng),
            body=content.message(self.rng, inbound, self.world.spec.odd_texts),
        )
        if not inbound:
            self._sign(event, random())
        if event.status == "Failed":
            code, reason = content.FAILURES[int(random() * len(content.FAILURES))]
            event.more = More(error_code=code, failure_reason=reason)
        roll = random()
        if roll < 0.15:
            event.more = event.more or More()
            self._decorate(event, event.more, roll)
        return event

    def _outbound_status(self, at: int) -> str:
        words = _FRESH if self.world.now - at < 3 * DAY else _SETTLED
        return words[int(self.rng.random() * len(words))]

    def _sign(self, event: Event, roll: float) -> None:
        """Outbound messages come from a member, from an AI agent, or have no sender."""
        if roll < 0.75:
            people: list[User] = self.members if roll < 0.6 else self.agents
            event.handler = people[int(self.rng.random() * len(people))]
            event.handler_name = event.handler.name

    def _decorate(self, event: Event, more: More, roll: float) -> None:
        rng = self.rng
        earlier = event.conversation.events
        if roll < 0.08:
            ending = rng.choice(("jpg", "pdf", "ogg", "mp4"))
            more.attachment = f"https://media.example.invalid/{event.source_id}.{ending}"
            more.media_size = rng.choice((str(rng.randrange(10**7)), "1.4 MB"))
            event.body = rng.choice((None, event.body))
        elif roll < 0.12 and earlier:
            target = earlier[max(0, len(earlier) - 1 - rng.randrange(20))]
            more.reply_to = (target.id, target.body)
        elif roll < 0.135:
            thread_id = sequential_guid(event.at + HOUR, rng)
            more.thread = (thread_id, rng.random() < 0.5, 1 + rng.randrange(9))
        else:
            more.location = content.PLACES[rng.randrange(len(content.PLACES))]
            event.body = None

    def _call(self, conversation: Conversation, at: int, inserted: int) -> Event:
        rng, random = self.rng, self.rng.random
        status = _CALLS[int(random() * len(_CALLS))]
        more = More(ringing=int(random() * 45) * SECOND + rng.choice((0, 0, 250_000)))
        event_id, call_id = sequential_guid(inserted, rng), sequential_guid(inserted, rng)
        event = Event(
            id=event_id,
            conversation=conversation,
            source=CALL,
            direction=INBOUND if random() < 0.6 else OUTBOUND,
            at=at,
            status=status,
            # One timeline call in 32 does not say which call it is.
            source_id=None if int(event_id[-2:], 16) < 8 else call_id,
            more=more,
        )
        self._sign(event, random())
        if status in ("Answered", "Completed") or random() < 0.1:
            more.duration = int(random() * random() * 1800) * SECOND
            if random() < 0.1:
                more.duration += rng.choice((123_456, 500_000, DAY))
        if self.world.now - at > HOUR and random() < 0.9:
            summarise(event, rng)
        return event

    def _assignation(self, conversation: Conversation, at: int, inserted: int) -> Event:
        rng = self.rng
        target = rng.choice((None, *self.members, *self.agents))
        conversation.assignee = target
        return Event(
            id=sequential_guid(inserted, rng),
            conversation=conversation,
            source=ASSIGNATION,
            direction=INTERNAL,
            at=at,
            status=None,
            more=More(assignation=Assignation(target, rng.choice((None, *self.members)))),
        )

    def _make_strange(self, event: Event) -> None:
        if self.rng.random() < 0.3 and event.source != ASSIGNATION:
            event.direction = 4
        else:
            event.status = self.rng.choice(_RARE_STATUSES)


def _days_of_lag(rng: Random) -> int:
    """Some whole days of lag."""
    return (2 + rng.randrange(20)) * DAY


def is_summarisable(event: Event) -> bool:
    """A call that was talked on for half a minute and has no summary yet."""
    return (
        event.source == CALL
        and event.more is not None
        and event.more.summary is None
        and (event.more.duration or 0) >= 30 * SECOND
    )


def summarise(event: Event, rng: Random) -> None:
    """Give a call its summary and transcription, if it is long enough to have one."""
    if is_summarisable(event) and event.more is not None:
        event.more.summary = rng.choice(content.SUMMARIES)
        event.more.transcription = rng.choice((None, *content.TRANSCRIPTS))
