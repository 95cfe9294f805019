"""Webhooks of no known workspace: counted, and given to their workspace once it is known.

They lie in a folder of their own, in files like those of any receiver.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hatif.webhooks.reasons import InvalidUnit
from hatif.webhooks.routing import PATH_HEADER, Route, Router, named_in
from hatif.webhooks.segments import make_private
from hatif.webhooks.validate import Envelope, unwrap

_LOCK = ".lock"
#: Seconds after which a file that was being written to has been left by its receiver.
_LEFT = 600.0
_decoder = msgspec.json.Decoder(Envelope)


@dataclass(slots=True)
class Waiting:
    """What waits.

    Attributes:
        bodies: how many.
        workspaces: how many name which id, as 32 digits; the most frequent first.
    """

    bodies: int = 0
    workspaces: Counter[str] = field(default_factory=Counter)


def waiting(folder: Path) -> Waiting:
    """Count the bodies in the folder, which need not be there."""
    found = Waiting()
    for file in _files(folder):
        for line in _lines(file):
            found.bodies += 1
            found.workspaces.update(named_in(_content(line)[0])[0])
    return found


def assign(router: Router) -> Counter[str]:
    """Give what waits to the workspaces whose it is; return how many bodies each got.

    Interrupted anywhere, a body is in its old place, or in its new one, or in both: it is stored
    once all the same.

    Raises:
        OSError: a folder cannot be written to; what was not given stays.
    """
    given: Counter[str] = Counter()
    if not router.unassigned.is_dir():
        return given
    with _alone(router.unassigned):
        for file in _files(router.unassigned):
            is_open = file.name.startswith("open-")
            if not is_open or time.time() - file.stat().st_mtime > _LEFT:
                given += _assign_file(router, file)
    return given


def _assign_file(router: Router, file: Path) -> Counter[str]:
    lines: dict[Route | None, list[bytes]] = defaultdict(list)
    for line in _lines(file):
        lines[router.route(*_content(line))].append(line)
    left = lines.pop(None, [])
    if not lines:
        return Counter()
    for route, own in lines.items():
        assert route is not None  # noqa: S101 - taken out above
        name = f"{file.name.removeprefix('open-').partition('.')[0]}-{secrets.token_hex(4)}.ndjson"
        make_private(route.directory)
        _write(route.directory / name, own)
    if left:
        _write(file, left)
    else:
        file.unlink()
    return Counter({route.name: len(own) for route, own in lines.items() if route is not None})


def _content(line: bytes) -> tuple[bytes, str | None]:
    """Return the body in a line, and the name in the path that it was sent to."""
    try:
        body = unwrap(line).body
        headers = _decoder.decode(line).headers or {}
    except (InvalidUnit, ValueError):
        return line, None
    name = headers.get(PATH_HEADER)
    return body, name if isinstance(name, str) else None


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ndjson")) if folder.is_dir() else []


def _lines(file: Path) -> Iterator[bytes]:
    """Yield whole lines; half a one at the end is still being written, or was never answered."""
    with file.open("rb") as content:
        for line in content:
            if line.endswith(b"\n"):
                yield line


def _write(file: Path, lines: list[bytes]) -> None:
    """Write a file that is there whole, and on disk, or not at all."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.writelines(lines)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time give out what waits."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
