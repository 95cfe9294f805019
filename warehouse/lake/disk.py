"""Files below a folder in which other processes make and remove files meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every regular file below a folder with what the system knows of it.

    Links are not followed. What vanishes while it is looked at, or may not be looked into, is left
    out, as is a folder that is not there. Folders may lie in folders to any depth.
    """
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as listing:
                entries = list(listing)
        except OSError:
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode):
                folders.append(Path(entry))
            elif stat.S_ISREG(found.st_mode):
                yield Path(entry), found


def measure(folder: Path, suffix: str = "") -> tuple[int, int]:
    """Return how many files below a folder have names that end so, and their bytes in all."""
    sizes = [found.st_size for path, found in files(folder) if path.name.endswith(suffix)]
    return len(sizes), sum(sizes)
