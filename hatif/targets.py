"""Which lists of a stream are to be read, why, and how far down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Target:
    """A list to be read, and why.

    Attributes:
        parent: the record it hangs on; None for the stream's only list.
        reason: `new` (never read), `changed` (by its parent's change signal), `hint` (a webhook
            named it), `asked` (requested by hand), `step` (something in it may still change),
            `head` (what came since), `interval` (its turn to be read in full), `full` (a full
            sync), `check` (to confirm something that was read a moment ago).
        until: the instant down to which it is to be read; None for the whole.
        signal: the parent's change signal now.
        setbacks: readings in a row, before this one, that ended without a certificate.
    """

    parent: str | None
    reason: str
    until: datetime | None = None
    signal: str | None = None
    setbacks: int = 0


class Plan(Protocol):
    """Which lists of a stream are to be read, the most valuable first."""

    @property
    def count(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Target]:
        """Yield them; their number does not matter to memory."""

    def sample(self, most: int) -> Sequence[Target]:
        """Return some of them, spread evenly over the plan."""


class FixedPlan:
    """A plan of lists known by name.

    Args:
        targets: the lists, in order.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._targets)

    def __iter__(self) -> Iterator[Target]:
        """Yield them."""
        return iter(self._targets)

    def sample(self, most: int) -> Sequence[Target]:
        """Return some of them, spread evenly over the plan."""
        step = max(1, len(self._targets) // max(1, most))
        return self._targets[::-step][:most]
