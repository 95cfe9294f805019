"""The metrics: ``metrics.toml``, each defined once, with its variants and a worked example."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from warehouse.errors import ModelError

_FILE = Path(__file__).with_name("metrics.toml")
_CITED = re.compile(r"\{metric:([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: as it is cited.
        title: in words.
        formula: how it is computed.
        variants: what else goes by that name, and where it is.
        mistake: what is done wrong elsewhere.
        events: the example's events, a line each.
        sql: a query of them; {conversation} and {channel} stand for the example's.
        answer: its result; a list where it has several rows or values.
        why: the arithmetic.
    """

    name: str
    title: str
    formula: str
    variants: tuple[str, ...]
    mistake: str
    events: tuple[str, ...]
    sql: str
    answer: Any
    why: str


@cache
def metrics() -> dict[str, Metric]:
    """Return every metric by name."""
    return {
        name: Metric(
            name=name,
            title=one["title"],
            formula=one["formula"],
            variants=tuple(one["variants"]),
            mistake=one["mistake"],
            events=tuple(one["example"]["events"]),
            sql=one["example"]["sql"],
            answer=one["example"]["answer"],
            why=one["example"]["why"],
        )
        for name, one in _read().items()
    }


def _read() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def cited(text: str) -> tuple[str, ...]:
    """Return the names of the metrics that a text cites as ``{metric:name}``."""
    return tuple(dict.fromkeys(_CITED.findall(text)))


def spelt_out(text: str) -> str:
    """Return the text with every citation replaced by the metric's title.

    Raises:
        ModelError: it cites a metric that is not defined; the nearest is named.
    """
    for name in cited(text):
        if name not in metrics():
            near = get_close_matches(name, metrics(), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"a header cites the metric {name!r}, which is not defined{hint}")
    return _CITED.sub(lambda found: metrics()[found[1]].title, text)
