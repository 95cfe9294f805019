"""Faults: what may go wrong, on which request, how often; and the book that decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehearsal.stage import Stage

KINDS = (
    "none",
    "401",
    "403_business",
    "403_scope",
    "404_abp",
    "404_html",
    "429",
    "500",
    "502",
    "503",
    "empty",
    "html",
    "garbage",
    "status",
    "empty_list",
    "reset",
    "truncated",
    "truncated_json",
    "slow",
    "drip",
    "bad_records",
)
"""Every kind of fault; ``none`` answers as usual and only carries an action."""

TRANSIENT = ("429", "500", "502", "503", "reset", "truncated", "truncated_json", "empty", "html")
"""What a patient client overcomes by a retry."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong on exactly known requests.

    Attributes:
        kind: one of KINDS.
        path: regular expression searched in the path; None = any path.
        stream: stream name as in the request log, ``token`` included; None = any.
        nth: the first matching request it strikes, counted from when it was added.
        every: strike each k-th matching request instead.
        times: how many requests to strike at most; by default one, without end for ``every``.
        then: executed just before that request is answered: a callable that takes the
            server, or the name of an action with its number (``"delete_read_contacts 20"``).
        params: details of the kind; see sabotage.py.
    """

    kind: str = "none"
    path: str | None = None
    stream: str | None = None
    nth: int = 1
    every: int | None = None
    times: int | None = None
    then: Callable[[Stage], object] | str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind!r}; there are {', '.join(KINDS)}")
        if self.nth < 1 or (self.every is not None and self.every < 1):
            raise ValueError("requests are counted from 1")

    def aims_at(self, stream: str, path: str) -> bool:
        """Whether a request counts for this fault at all."""
        return self.stream in (None, stream) and (
            self.path is None or re.search(self.path, path) is not None
        )

    def is_due(self, seen: int, struck: int) -> bool:
        """Whether the seen-th matching request is struck, after so many that were."""
        if self.every is not None:
            return seen % self.every == 0 and (self.times is None or struck < self.times)
        return seen >= self.nth and struck < (1 if self.times is None else self.times)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    struck: int = 0

    def draw(self, stream: str, path: str) -> Fault | None:
        if not self.fault.aims_at(stream, path):
            return None
        self.seen += 1
        if not self.fault.is_due(self.seen, self.struck):
            return None
        self.struck += 1
        return self.fault


class FaultBook:
    """All faults in force. Aimed ones come first; the rate strikes what they left alone."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._rate = 0.0
        self._kinds: Sequence[str] = TRANSIENT
        self._rng = Random(0)

    def add(self, fault: Fault) -> None:
        """Arm a fault; its count starts now."""
        self._armed.append(_Armed(fault))

    def set_rate(self, rate: float, kinds: Sequence[str], seed: int) -> None:
        """Strike this share of all requests with a kind drawn from ``kinds``."""
        for kind in kinds:
            Fault(kind)  # names the kind that does not exist
        self._rate, self._kinds, self._rng = rate, tuple(kinds), Random(seed)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._armed.clear()
        self._rate = 0.0

    def draw(self, stream: str, path: str) -> list[Fault]:
        """The faults that strike this request, in the order they were added."""
        drawn = [fault for armed in self._armed if (fault := armed.draw(stream, path))]
        if not drawn and self._rate and self._rng.random() < self._rate:
            drawn.append(Fault(self._rng.choice(self._kinds)))
        return drawn
