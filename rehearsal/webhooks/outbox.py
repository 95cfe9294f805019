"""What leaves the service between two instants, and what becomes of it on the way."""

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
from rehearsal.webhooks.tellings import Telling, WorkspaceTelling, dice
from rehearsal.world import World

SIGNATURE = "X-Voxa-Signature"
RETRY_WAITS = tuple(minutes * MINUTE for minutes in (2, 4, 8, 16, 32))
"""How long the service waits after each attempt that failed; after the last it gives up."""

_LONGEST_TALE = 5 * DAY
"""Nothing is told of an event later than this after it happened or changed."""

Secrets = Mapping[str, Sequence[str]]
"""Secrets of each channel that signs; of several, one or the other is in use."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One distinct body: what it tells, its bytes, and its key in the warehouse."""

    telling: Telling
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
        """Chance that belongs to a delivery on this way."""
        return Random(f"{self.seed} {delivery.id}")


def outbox(world: World, since: int, until: int, secrets: Secrets) -> list[Delivery]:
    """Distinct deliveries first sent after ``since`` and not after ``until``, in that order."""
    found: dict[str, Delivery] = {}
    told = [
        telling
        for event in _recent(world, since, until)
        for telling in tellings(world, event)
        if since < telling.at <= until
    ]
    told.sort(key=lambda telling: (telling.at, telling.event.id))
    for telling in told:
        delivery = _delivery(world, telling, secrets)
        found.setdefault(delivery.id, delivery)
    return list(found.values())


def tellings(world: World, event: Event) -> list[Telling]:
    """Everything webhooks tell because of one event, some of it yet to come."""
    told: list[Telling] = [
        *messages.tellings(world, event),
        *calls.tellings(world, event),
        *calls.ivr_tellings(world, event),
    ]
    if event.source == ASSIGNATION:
        told.append(WorkspaceTelling(event.at + SECOND, event, "AssignedUserIdChanged"))
    elif dice(world, event, "workspace").random() < 0.2:
        told.append(WorkspaceTelling(event.at + SECOND, event, "LastEventUpdated"))
    return told


def sign(secret: str, content: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of a body."""
    return hmac(secret.encode(), content, sha256).hexdigest()


def _recent(world: World, since: int, until: int) -> Iterator[Event]:
    """Events that something can be told of in that time."""
    for talk in world.conversations.values():
        for event in talk.events:
            latest = max(
                event.at,
                world.moves[event.id][-1][0] if event.id in world.moves else 0,
                world.summarised.get(event.id, 0),
            )
            if event.at <= until and latest > since - _LONGEST_TALE:
                yield event


def _delivery(world: World, telling: Telling, secrets: Secrets) -> Delivery:
    content = body(world, telling)
    delivery_id = sha256(content).hexdigest()
    headers = {
        "Host": "hooks.example.invalid",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(content)),
    }
    channel = telling.event.conversation.channel.id
    # Workspace events belong to no channel, so no channel's secret signs them.
    held = () if telling.kind == "workspace" else secrets.get(channel, ())
    if held:
        chosen = held[int(delivery_id[:8], 16) % len(held)]
        headers[SIGNATURE] = sign(chosen, content)
    return Delivery(telling, content, delivery_id, headers)
