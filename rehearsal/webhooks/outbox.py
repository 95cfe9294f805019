"""What leaves the service between two instants, and how the way to the receiver changes it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac
from random import Random

from rehearsal.ids import DAY, MINUTE, SECOND
from rehearsal.model import Event
from rehearsal.timelines import ASSIGNATION
from rehearsal.webhooks import calls, messages
from rehearsal.webhooks.bodies import body
from rehearsal.webhooks.notices import Notice, WorkspaceNotice, dice
from rehearsal.world import World

SIGNATURE = "X-Voxa-Signature"
RETRY_WAITS = tuple(minutes * MINUTE for minutes in (2, 4, 8, 16, 32))
"""How long the service waits after each attempt that failed; after the last it gives up."""

_LATEST_NOTICE = 5 * DAY
"""No notice of an event leaves later than this after it happened or changed."""

Secrets = Mapping[str, Sequence[str]]
"""Secrets of each channel that signs; of several, one or the other is in use."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One distinct body: its notice, its bytes, and its key in the warehouse."""

    notice: Notice
    body: bytes = field(repr=False)
    id: str
    headers: dict[str, str] = field(repr=False)

    @property
    def is_signed(self) -> bool:
        """Whether its channel has a secret."""
        return SIGNATURE in self.headers


@dataclass(frozen=True, slots=True)
class Transport:
    """What happens on the way; shares between 0 and 1 of all deliveries.

    Attributes:
        lost: never arrive.
        late: arrive by one of the retries only, up to an hour after they were sent.
        repeated: arrive once more, byte for byte.
        reordered: lie out of order among the others.
        empty: empty bodies that arrive besides.
        seed: the draw follows it.
    """

    lost: float = 0.0
    late: float = 0.05
    repeated: float = 0.0
    reordered: float = 0.1
    empty: float = 0.0
    seed: int = 0

    def dice(self, delivery: Delivery) -> Random:
        """Random numbers that belong to a delivery on this way."""
        return Random(f"{self.seed} {delivery.id}")


def outbox(world: World, since: int, until: int, secrets: Secrets) -> list[Delivery]:
    """Distinct deliveries first sent after ``since`` and not after ``until``, in that order."""
    found: dict[str, Delivery] = {}
    due = [
        notice
        for event in _recent(world, since, until)
        for notice in notices(world, event)
        if since < notice.at <= until
    ]
    due.sort(key=lambda notice: (notice.at, notice.event.id))
    for notice in due:
        delivery = _delivery(world, notice, secrets)
        found.setdefault(delivery.id, delivery)
    return list(found.values())


def notices(world: World, event: Event) -> list[Notice]:
    """Every notice because of one event, some of it yet to come."""
    found: list[Notice] = [
        *messages.notices(world, event),
        *calls.notices(world, event),
        *calls.ivr_notices(world, event),
    ]
    if event.source == ASSIGNATION:
        found.append(WorkspaceNotice(event.at + SECOND, event, "AssignedUserIdChanged"))
    elif dice(world, event, "workspace").random() < 0.2:
        found.append(WorkspaceNotice(event.at + SECOND, event, "LastEventUpdated"))
    return found


def sign(secret: str, content: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of a body."""
    return hmac(secret.encode(), content, sha256).hexdigest()


def _recent(world: World, since: int, until: int) -> Iterator[Event]:
    """Events that can have a notice in that time."""
    for talk in world.conversations.values():
        for event in talk.events:
            latest = max(
                event.at,
                world.moves[event.id][-1][0] if event.id in world.moves else 0,
                world.summarised.get(event.id, 0),
            )
            if event.at <= until and latest > since - _LATEST_NOTICE:
                yield event


def _delivery(world: World, notice: Notice, secrets: Secrets) -> Delivery:
    content = body(world, notice)
    delivery_id = sha256(content).hexdigest()
    headers = {
        "Host": "hooks.example.invalid",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(content)),
    }
    channel = notice.event.conversation.channel.id
    # Workspace events belong to no channel, so no channel's secret signs them.
    held = () if notice.kind == "workspace" else secrets.get(channel, ())
    if held:
        chosen = held[int(delivery_id[:8], 16) % len(held)]
        headers[SIGNATURE] = sign(chosen, content)
    return Delivery(notice, content, delivery_id, headers)
