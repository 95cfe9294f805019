"""What an examination finds: each finding says what is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        check: what was looked at, in a word or two.
        status: `ok`, `warning` (works, but look at it) or `failed`.
        says: what was found; no secret, nothing about a customer.
        advice: what to do; empty where nothing is to be done.
    """

    check: str
    status: Literal["ok", "warning", "failed"]
    says: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service, or what is stored of it, says to a question that its documentation leaves.

    Attributes:
        question: which.
        says: the answer in a sentence.
        facts: what it rests on: counts, names of keys and codes, never a customer's text.
    """

    question: str
    says: str
    facts: dict[str, Any] = field(default_factory=dict)
