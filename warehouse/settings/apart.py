"""Whether workspaces keep apart: no place of one is, holds or lies inside a place of another.

Folders are compared by where they really are: links are followed, letter case counts for nothing,
and one folder mounted twice is one. Buckets are compared by prefix, databases by what names them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_FILE = "file"
_ROOT = (_FILE, "/")
_Identity = tuple[int, int]


class Place(NamedTuple):
    """A place of a workspace.

    Attributes:
        workspace: whose it is.
        field: the setting that names it.
        key: what it is compared by; one place lies in another whose key its own begins with.
        path: with links followed; None where it is not on this machine.
    """

    workspace: str
    field: str
    key: tuple[str, ...]
    path: Path | None = None


def place(workspace: str, field: str, location: str) -> Place:
    """Return a folder or file, or what lies below an ``s3://`` address, as a place."""
    kind, separator, rest = location.partition("://")
    if separator:
        return Place(workspace, field, (kind, *filter(None, rest.partition("?")[0].split("/"))))
    path = Path(os.path.realpath(location))
    return Place(workspace, field, (_FILE, *(part.casefold() for part in path.parts)), path)


def conflicts(places: Iterable[Place]) -> dict[str, list[str]]:
    """Return by workspace a sentence for each of its places that is not its own alone."""
    others: dict[tuple[str, str], set[Place]] = defaultdict(set)
    # The root of the file system holds all, and is refused by itself.
    for inner, outer in _overlaps([one for one in places if one.key != _ROOT]):
        others[inner.workspace, inner.field].add(outer)
        others[outer.workspace, outer.field].add(inner)
    found: dict[str, list[str]] = defaultdict(list)
    for (workspace, field), theirs in sorted(others.items()):
        first = min(theirs, key=lambda one: (one.workspace, one.field))
        number = len({one.workspace for one in theirs}) - 1
        more = f" and {number:,} more" if number else ""
        found[workspace].append(
            f"{field}: is, holds or lies inside the {first.field} of workspace "
            f"{first.workspace}{more}; give each workspace places of its own"
        )
    return found


def _overlaps(places: list[Place]) -> Iterator[tuple[Place, Place]]:
    """Yield each place with one of another workspace that is the same, or that holds it."""
    identity = _Identities()
    by_key: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    by_identity: dict[_Identity, list[Place]] = defaultdict(list)
    for one in places:
        by_key[one.key].append(one)
        if one.path is not None and (known := identity.of(one.path)) is not None:
            by_identity[known].append(one)
    for inner in places:
        lists = [by_key.get(inner.key[:end], []) for end in range(1, len(inner.key) + 1)]
        if inner.path is not None:
            above = map(identity.of, (inner.path, *inner.path.parents))
            lists += [by_identity.get(known, []) for known in above if known is not None]
        for same in lists:
            outer = next((one for one in same if one.workspace != inner.workspace), None)
            if outer is not None:
                yield inner, outer


class _Identities:
    """Device and number of files and folders, each looked up once; None where there is none."""

    def __init__(self) -> None:
        self._known: dict[Path, _Identity | None] = {}

    def of(self, path: Path) -> _Identity | None:
        if path not in self._known:
            try:
                state = path.stat()
                self._known[path] = state.st_dev, state.st_ino
            except OSError:
                self._known[path] = None
        return self._known[path]
