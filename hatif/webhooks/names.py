"""The format of a file by its name; the name is looked at at every reading of the file.

A rotated name (``a.ndjson.1``, ``a.ndjson-20261101.gz``, ``a.ndjson.gz.2``) stands for the name
before the ending.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ROTATED = r"(?:[._-](?:[0-9][0-9tz.:_+-]*|old))?"
_NAME = re.compile(rf"\.(json|ndjson|jsonl){_ROTATED}(?:\.(gz|zst))?{_ROTATED}\Z", re.IGNORECASE)


class Format(NamedTuple):
    """How the bytes of a file are to be read.

    Attributes:
        is_lines: a unit a line; else one document.
        packing: gz or zst, None where the content lies open.
    """

    is_lines: bool
    packing: str | None

    @property
    def can_resume(self) -> bool:
        """Whether reading can go on in the middle of the file."""
        return self.is_lines and self.packing is None


def format_of(name: str) -> Format | None:
    """Return the format of a webhook file; None if by its name it is none."""
    match = _NAME.search(name)
    if match is None:
        return None
    return Format(match[1].lower() != "json", match[2] and match[2].lower())
