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
from rehearsal.webhooks.outbox import RETRY_WAITS, Delivery, Transport
from rehearsal.webhooks.tellings import Kind

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
class _Errand:
    due: int
    delivery: Delivery = field(compare=False)
    posted: Posted = field(compare=False)
    failures: int = field(default=0, compare=False)


class Postman:
    """Carries deliveries to one URL; not to be shared by threads.

    Args:
        url: where to post.
        way: what gets lost, late, repeated or overtaken on the way. Late ones are first
            tried after some minutes.
    """

    def __init__(self, url: str, way: Transport) -> None:
        self.url, self.way = url, way
        self.posted: list[Posted] = []
        self._errands: list[_Errand] = []

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Deliveries to carry as they fall due."""
        for delivery in deliveries:
            rng = self.way.dice(delivery)
            posted = Posted(delivery.id, delivery.telling.kind)
            self.posted.append(posted)
            due = delivery.telling.at
            if rng.random() < self.way.lost:
                posted.ending = "lost"
                continue
            if rng.random() < self.way.late:
                due += 2 * MINUTE + rng.randrange(30 * MINUTE)
            if rng.random() < self.way.reordered:
                due += rng.randrange(90 * SECOND)
            heapq.heappush(self._errands, _Errand(due, delivery, posted))
            if rng.random() < self.way.repeated:
                again = Posted(delivery.id, delivery.telling.kind)
                self.posted.append(again)
                heapq.heappush(self._errands, _Errand(due + 2 * MINUTE, delivery, again))

    def carry(self, until: int) -> list[tuple[Delivery, int]]:
        """Post what is due by then, retries included, in the order of their due times.

        Returns:
            What was accepted, with the machine's time in microseconds of its acceptance.
        """
        accepted: list[tuple[Delivery, int]] = []
        if not self._errands or self._errands[0].due > until:
            return accepted
        with httpx.Client(timeout=_SECONDS_TO_ANSWER) as http:
            while self._errands and self._errands[0].due <= until:
                errand = heapq.heappop(self._errands)
                if self._attempt(http, errand):
                    accepted.append((errand.delivery, micros(datetime.now(UTC))))
        return accepted

    def _attempt(self, http: httpx.Client, errand: _Errand) -> bool:
        """Post once, and plan the next attempt if there is to be one; tell whether it was taken."""
        posted = errand.posted
        answer = _post(http, self.url, errand.delivery)
        posted.attempts.append(Attempt(aware(errand.due), answer))
        if isinstance(answer, int) and 200 <= answer < 300:
            posted.ending = "delivered"
            return True
        if isinstance(answer, int) and 400 <= answer < 500:
            posted.ending = "refused"
        elif errand.failures == len(RETRY_WAITS):
            posted.ending = "given_up"
        else:
            errand.due += RETRY_WAITS[errand.failures]
            errand.failures += 1
            heapq.heappush(self._errands, errand)
        return False


def _post(http: httpx.Client, url: str, delivery: Delivery) -> int | str:
    sent = {name: value for name, value in delivery.headers.items() if name != "Host"}
    try:
        return http.post(url, content=delivery.body, headers=sent).status_code
    except httpx.HTTPError as error:
        return type(error).__name__
