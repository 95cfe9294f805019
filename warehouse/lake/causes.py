"""What another program's words mean: what happened, what to do, and whether it may pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Cause(NamedTuple):
    """What a table of causes holds.

    Attributes:
        words: a regular expression that finds it in a message.
        happened: what happened, without a full stop.
        advice: what to do about it.
        passes: the same, tried again some minutes later, may well succeed.
    """

    words: str
    happened: str
    advice: str
    passes: bool = False


class Explanation(NamedTuple):
    """What a message means.

    Attributes:
        text: what happened and what to do, without anything secret.
        passes: the same, tried again some minutes later, may well succeed.
    """

    text: str
    passes: bool = False


def first(causes: Iterable[Cause], words: str, flags: int = 0) -> Cause | None:
    """Return the first cause that the words show, None where none is known."""
    return next((one for one in causes if re.search(one.words, words, flags)), None)
