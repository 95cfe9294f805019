"""Findings of `hatif doctor` and answers of the API probe, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: the subject, in a word or two.
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
    """The answer to a question that the service's documentation leaves open.

    Attributes:
        question: as shown.
        says: the answer in a sentence.
        facts: its evidence: counts, names of keys and codes, never a customer's text.
    """

    question: str
    says: str
    facts: dict[str, Any] = field(default_factory=dict)
