"""Deliveries over HTTP to a receiver, with the vendor's retries, by the world's clock.

An answer of 2xx ends a delivery well, one of 4xx ends it badly and at once; anything else, and
no answer, is tried again after 2, 4, 8, 16 and 32 minutes, byte for byte, and then given up.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import httpx

from rehearsal.ids import MINUTE, SECOND, aware, micros
from rehearsal.webhooks.notices import Kind
from rehearsal.webhooks.outbox import RETRY_WAITS, Delivery, Transport

Ending = Literal["waiting", "delivered", "refused", "given_up", "lost"]

_SECONDS_TO_ANSWER = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST: when by the world's clock, and the status, or the kind of failure."""

    at: datetime
    answer: int | str


@dataclass(slots=True)
class Posted:
    """One distinct delivery: every attempt, and how it ended."""

    delivery_id: str
    kind: Kind
    attempts: list[Attempt] = field(default_factory=list)
    ending: Ending = "waiting"


@dataclass(order=True, slots=True)
class _Pending:
    due: int
    delivery: Delivery = field(compare=False)
    posted: Posted = field(compare=False)
    failures: int = field(default=0, compare=False)


class Poster:
    """Carries deliveries to one URL; not to be shared by threads.

    Args:
        url: where to post.
        way: what gets lost, late, repeated or overtaken on the way. Late ones are first
            tried after some minutes.
    """

    def __init__(self, url: str, way: Transport) -> None:
        self.url, self.way = url, way
        self.posted: list[Posted] = []
        self._queue: list[_Pending] = []

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Deliveries to carry as they fall due."""
        for delivery in deliveries:
            rng = self.way.dice(delivery)
            posted = Posted(delivery.id, delivery.notice.kind)
            self.posted.append(posted)
            due = delivery.notice.at
            if rng.random() < self.way.lost:
                posted.ending = "lost"
                continue
            if rng.random() < self.way.late:
                due += 2 * MINUTE + rng.randrange(30 * MINUTE)
            if rng.random() < self.way.reordered:
                due += rng.randrange(90 * SECOND)
            heapq.heappush(self._queue, _Pending(due, delivery, posted))
            if rng.random() < self.way.repeated:
                again = Posted(delivery.id, delivery.notice.kind)
                self.posted.append(again)
                heapq.heappush(self._queue, _Pending(due + 2 * MINUTE, delivery, again))

    def carry(self, until: int) -> list[tuple[Delivery, int]]:
        """Post what is due by then, retries included, in the order of their due times.

        Returns:
            What was accepted, with the machine's time in microseconds of its acceptance.
        """
        accepted: list[tuple[Delivery, int]] = []
        if not self._queue or self._queue[0].due > until:
            return accepted
        with httpx.Client(timeout=_SECONDS_TO_ANSWER) as http:
            while self._queue and self._queue[0].due <= until:
                pending = heapq.heappop(self._queue)
                if self._attempt(http, pending):
                    accepted.append((pending.delivery, micros(datetime.now(UTC))))
        return accepted

    def _attempt(self, http: httpx.Client, pending: _Pending) -> bool:
        """Post once, and plan the next attempt if one follows; return whether it was accepted."""
        posted = pending.posted
        answer = _post(http, self.url, pending.delivery)
        posted.attempts.append(Attempt(aware(pending.due), answer))
        if isinstance(answer, int) and 200 <= answer < 300:
            posted.ending = "delivered"
            return True
        if isinstance(answer, int) and 400 <= answer < 500:
            posted.ending = "refused"
        elif pending.failures == len(RETRY_WAITS):
            posted.ending = "given_up"
        else:
            pending.due += RETRY_WAITS[pending.failures]
            pending.failures += 1
            heapq.heappush(self._queue, pending)
        return False


def _post(http: httpx.Client, url: str, delivery: Delivery) -> int | str:
    sent = {name: value for name, value in delivery.headers.items() if name != "Host"}
    try:
        return http.post(url, content=delivery.body, headers=sent).status_code
    except httpx.HTTPError as error:
        return type(error).__name__
