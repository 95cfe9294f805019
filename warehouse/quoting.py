"""Text inside SQL, where nothing can be bound, or binding would cost more than it is worth."""

from __future__ import annotations


def literal(text: str) -> str:
    """Return the text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
