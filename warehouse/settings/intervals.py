"""How often a stream is read in full: the streams' defaults and ``HATIF_INTERVALS``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import timedelta

from hatif.streams import STREAMS, stream_named

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([a-z_]+)\s*=\s*([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([smhdw]?)")
#: More than ten years are a mistake, and beyond all dates soon.
_LONGEST = timedelta(days=3660)

#: A schedule ticks a little early at times: an interval counts as over a twentieth before its end.
EARLY = 0.05


def parse_intervals(text: str) -> dict[str, timedelta]:
    """Read ``contacts=1h,statistics=24h``; units s, m, h, d, w.

    Raises:
        ValueError: with a sentence on what is wrong; it quotes nothing.
    """
    found: dict[str, timedelta] = {}
    for number, part in enumerate((part.strip() for part in text.split(",")), 1):
        if not part:
            continue
        match = _PART.fullmatch(part.lower())
        if match is None:
            raise ValueError(f"pair {number}: must be a stream and a time such as contacts=1h")
        stream = stream_named(match[1])
        if stream is None:
            (nearest,) = difflib.get_close_matches(match[1], STREAMS, 1, cutoff=0)
            raise ValueError(
                f"pair {number}: names no stream, the nearest is {nearest}; there are "
                f"{', '.join(STREAMS)}"
            )
        if stream.name in found:
            raise ValueError(f"pair {number}: a second interval of {stream.name}; keep one")
        found[stream.name] = _interval(number, match[2], match[3])
    return found


def _interval(number: int, count: str, unit: str) -> timedelta:
    if not unit and float(count):
        raise ValueError(f"pair {number}: needs a unit: s, m, h, d or w, such as 30m")
    one = timedelta(**{_UNITS[unit or "s"]: 1})
    if float(count) > _LONGEST / one:
        raise ValueError(f"pair {number}: must be at most {_LONGEST.days}d")
    return float(count) * one


def interval_of(stream: str, given: Mapping[str, timedelta]) -> timedelta | None:
    """Return the least time between two whole reads of a list of this stream; None for never."""
    return given.get(stream, STREAMS[stream].interval)
