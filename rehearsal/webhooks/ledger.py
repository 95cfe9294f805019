"""The ledger of deliveries received, complete and exact; the truth modules read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rehearsal.ids import aware
from rehearsal.webhooks.notices import Kind, Notice
from rehearsal.webhooks.outbox import Delivery


class Received(NamedTuple):
    """A distinct body at the earliest instant it was received; sorts as the contract wants.

    Where no envelope stated one, the time of its file stands in, for the order alone.
    """

    at: int
    id: str
    notice: Notice
    is_stated: bool


class Ledger:
    """Every distinct delivery that has been received, by its id."""

    def __init__(self) -> None:
        self.received: dict[str, Received] = {}

    def note(self, delivery: Delivery, at: int, *, is_stated: bool = True) -> None:
        """Note a receipt: of several of one body the earliest that is stated counts."""
        known = self.received.get(delivery.id)
        if known is None or (not is_stated, at) < (not known.is_stated, known.at):
            self.received[delivery.id] = Received(at, delivery.id, delivery.notice, is_stated)

    def of(self, kind: Kind) -> list[Received]:
        """All of one kind, by receive time and then by id."""
        return sorted(found for found in self.received.values() if found.notice.kind == kind)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One distinct delivery among files: each time it counts as received, earliest first."""

    delivery_id: str
    kind: Kind
    event_id: str
    channel_id: str | None
    conversation_id: str
    is_signed: bool
    received_at: list[datetime]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written; ``lost`` deliveries never came, ``empty`` bodies came besides."""

    receipts: list[Receipt]
    files: list[Path]
    lost: int
    empty: int


def receipts(received: Iterable[tuple[Delivery, int]]) -> list[Receipt]:
    """One receipt a distinct delivery, in the order of their first arrivals."""
    times: dict[str, list[int]] = {}
    deliveries: dict[str, Delivery] = {}
    for delivery, at in received:
        deliveries[delivery.id] = delivery
        times.setdefault(delivery.id, []).append(at)
    return sorted(
        (_receipt(deliveries[key], sorted(found)) for key, found in times.items()),
        key=lambda receipt: (receipt.received_at[0], receipt.delivery_id),
    )


def _receipt(delivery: Delivery, times: list[int]) -> Receipt:
    talk, kind = delivery.notice.event.conversation, delivery.notice.kind
    return Receipt(
        delivery_id=delivery.id,
        kind=kind,
        event_id=delivery.notice.event.id,
        channel_id=None if kind == "workspace" else talk.channel.id,
        conversation_id=talk.id,
        is_signed=delivery.is_signed,
        received_at=[aware(at) for at in times],
    )
