"""Whether a file still has the content that was read: by its digest, taken where its facts changed.

Size and modification time alone miss an edit of equal length within a tick of the clock, and a copy
that keeps times. What `stat` says of a file here cannot be set back: the time of its last change
and its inode are the system's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from xxhash import xxh3_128

#: A file changed so lately may change again without its times moving.
_SETTLED_NS = 2_000_000_000
_BLOCK = 1 << 20


def state_of(paths: Iterable[Path], before: str) -> str:
    """Return the state of some files as text, to be kept and given as `before` the next time.

    Args:
        paths: of the files; one that cannot be read has its error as its content.
        before: what was kept; whatever else it is counts as nothing.
    """
    known = _parsed(before)
    return json.dumps([_one(path, known.get(str(path))) for path in paths])


def is_same(one: str, other: str) -> bool:
    """Whether two states are of the same files with the same content."""
    found = _contents(one)
    return bool(found) and found == _contents(other)


def digest_of(path: Path) -> str:
    """Return the digest of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    found = xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _one(path: Path, before: tuple[str, str] | None) -> tuple[str, str, str]:
    """Return path, facts and digest; the facts are empty while the file may still change."""
    try:
        facts = _facts(path)
        if before and facts and before[0] == facts:
            return str(path), facts, before[1]
        return str(path), facts, digest_of(path)
    except OSError as error:
        return str(path), "", str(error.strerror)


def _facts(path: Path) -> str:
    found = path.stat()
    latest = max(found.st_mtime_ns, found.st_ctime_ns)
    if abs(time.time_ns() - latest) < _SETTLED_NS:
        return ""
    parts = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
    return " ".join(map(str, parts))


def _parsed(text: str) -> dict[str, tuple[str, str]]:
    try:
        return {path: (facts, digest) for path, facts, digest in json.loads(text or "[]")}
    except (ValueError, TypeError):
        return {}  # as an earlier version kept it


def _contents(text: str) -> list[tuple[str, str]]:
    return [(path, digest) for path, (_, digest) in _parsed(text).items()]
