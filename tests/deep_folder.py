"""Folders in folders, deeper than a recursion goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, repeat
from pathlib import Path


@contextmanager
def deep_folder(root: Path, depth: int) -> Iterator[Path]:
    """Make folders below one another; yield the innermost, which may be filled with files.

    They are removed afterwards, since pytest cannot: it would fail in a later session.
    """
    folders = [*accumulate(repeat("d", depth), Path.joinpath, initial=root)][1:]
    for folder in folders:
        folder.mkdir()
    try:
        yield folders[-1]
    finally:
        for file in folders[-1].iterdir():
            file.unlink()
        for folder in reversed(folders):
            folder.rmdir()
