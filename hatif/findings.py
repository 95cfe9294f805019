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
        text: what was found; no secret, nothing about a customer.
        advice: what to do; empty where nothing is to be done.
    """

    check: str
    status: Literal["ok", "warning", "failed"]
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return it under the names that ``hatif doctor --json`` has always printed."""
        return {
            "check": self.check,
            "status": self.status,
            "says": self.text,
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question that the service's documentation leaves open.

    Attributes:
        question: as shown.
        text: the answer in a sentence.
        facts: its evidence: counts, names of keys and codes, never a customer's text.
    """

    question: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it under the names that ``hatif doctor --json`` prints and the home keeps."""
        return {"question": self.question, "says": self.text, "facts": self.facts}
