"""How often a stream is read in full: the catalogue's defaults and ``HATIF_INTERVALS``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from hatif.streams import STREAMS, stream_named

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([a-z_]+)\s*=\s*(\d+(?:\.\d+)?)\s*([smhdw]?)")

#: A schedule ticks a little early at times: an interval counts as over a twentieth before its end.
EARLY = 0.05


def parse_intervals(text: str) -> dict[str, timedelta]:
    """Read ``contacts=1h,statistics=24h``; units s, m, h, d, w, without one seconds.

    Raises:
        ValueError: with a sentence on what is wrong.
    """
    found: dict[str, timedelta] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part.lower())
        if match is None:
            raise ValueError("must be pairs such as contacts=1h,statistics=24h")
        stream = stream_named(match[1])
        if stream is None:
            raise ValueError(f"names no stream with “{match[1]}”; there are {', '.join(STREAMS)}")
        found[stream.name] = timedelta(**{_UNITS[match[3] or "s"]: float(match[2])})
    return found


def interval_of(stream: str, given: Mapping[str, timedelta]) -> timedelta | None:
    """Return the least time between two whole reads of a list of this stream; None for never."""
    return given.get(stream, STREAMS[stream].interval)
