"""The words of the page: a folder a language, a file for what is common and one a view.

A word has a name such as ``filters.channel`` or ``volume.title``. Both languages have the same
names; `missing` lists what one lacks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from page.view import View
from warehouse.metrics.definitions import metrics

LANGUAGES = {"en": "ltr", "ar": "rtl"}
WORDS = Path(__file__).parent / "words"


@cache
def catalogue(language: str, folders: tuple[Path, ...] = (WORDS,)) -> dict[str, str]:
    """Return all words of a language by name."""
    found: dict[str, str] = {}
    if language == "en":
        found |= _definitions()
    for folder in folders:
        for file in sorted((folder / language).glob("*.toml")):
            found |= dict(_flat(tomllib.loads(file.read_text(encoding="utf-8")), ""))
    return found


def _definitions() -> dict[str, str]:
    """Return the metrics' own words, which the reference has too."""
    found = {}
    for name, metric in metrics().items():
        found[f"metrics.{name}.title"] = metric.title
        found[f"metrics.{name}.formula"] = metric.formula
    return found


def _flat(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def needed(views: Iterable[View]) -> set[str]:
    """Return the words that views need beside the common ones."""
    found = set()
    for view in views:
        found |= {f"{view.name}.title", f"{view.name}.question"}
        found |= {
            f"metrics.{name}.{what}" for name in view.metrics for what in ("title", "formula")
        }
        for part in view.parts:
            found.add(f"{view.name}.{part.name}")
            for column in part.columns:
                found |= {f"columns.{column.name}", f"unknown.{column.unknown}"}
    return found
