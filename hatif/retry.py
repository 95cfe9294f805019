"""When to send a request again and how long to wait: pure decisions, no I/O."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from hatif.clock import http_date
from hatif.pause import LONGEST_WAIT

#: Statuses that a later attempt may cure. 501 is an answer, not an accident.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is sent again.

    Attributes:
        attempts: tries for one request, the first included.
        base: seconds; the n-th wait is drawn evenly from 0 to ``base * 2**n`` (full jitter).
        cap: seconds that one drawn wait never exceeds.
        patience: seconds beyond which a Retry-After is not waited for but reported.
        deadline: seconds that one attempt may take, however slowly its bytes drip in.
        largest_body: bytes of an answer, unpacked, beyond which it is not read to its end.
    """

    attempts: int = 8
    base: float = 0.5
    cap: float = 30.0
    patience: float = 300.0
    deadline: float = 120.0
    largest_body: int = 64 << 20

    def longest(self, attempt: int) -> float:
        """Seconds that the wait after failed attempt number `attempt` (from 0) can take.

        All requests wait so long after a 429 without a Retry-After. One of many costs little;
        where the budget is spent by others, the waits of one request outlast the minute by which
        the service counts.
        """
        return min(self.cap, self.base * 2.0**attempt)

    def jitter(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0)."""
        return random.uniform(0, self.longest(attempt))  # noqa: S311


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that a Retry-After header requires, None where there is none to read.

    No wait is longer than `LONGEST_WAIT`, whatever is required. A date is taken relative to the
    answer's own Date header, so that a clock that is wrong on either side does no harm.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
        return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None
    except ValueError:
        pass
    until = http_date(value)
    if until is None:
        return None
    now = http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT)
