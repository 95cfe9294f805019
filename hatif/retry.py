"""When to ask again and how long to wait: pure decisions, no I/O."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

#: Statuses that a later attempt may cure. 501 is an answer, not an accident.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to ask again.

    Attributes:
        attempts: tries for one request, the first included.
        base: seconds; the n-th wait is drawn evenly from 0 to ``base * 2**n`` (full jitter).
        cap: seconds that one drawn wait never exceeds.
        patience: seconds beyond which a Retry-After is not waited for but reported.
        deadline: seconds that one attempt may take, however slowly its bytes drip in.
    """

    attempts: int = 8
    base: float = 0.5
    cap: float = 30.0
    patience: float = 300.0
    deadline: float = 120.0

    def jitter(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0)."""
        return random.uniform(0, min(self.cap, self.base * 2**attempt))  # noqa: S311


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds that a Retry-After header requires, None where there is none to read.

    A date is taken relative to the answer's own Date header, so that a clock that is wrong on
    either side does no harm.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
