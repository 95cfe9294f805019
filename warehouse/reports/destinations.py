"""Where results may be written: whole or not at all, and never over a file that is needed.

That is a file of the warehouse or of Dagster's, ``.env``, or one that a setting names.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import OutputRefused
from warehouse.lake import disk
from warehouse.lake.catalog import Catalog, absolute
from warehouse.settings.environment import Settings

#: Names of our files in the home, beside the catalog's and every lock.
_IN_THE_HOME = ("requests.ring", "retry_after.json", "doctor.json", ".writable")
#: Where every name stands for something of the system's, such as standard output.
_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")
_OF_SQLITE = ("", "-wal", "-shm", "-journal")
#: What Dagster keeps in DAGSTER_HOME.
_OF_DAGSTER = ("dagster.yaml", "history", "schedules", "storage", ".logs_queue", ".telemetry")
_OURS = "is the warehouse's own"


def require_foreign(settings: Settings, target: Path) -> None:
    """See that a file or folder to be written is not needed, not inside what is, no link to it.

    Raises:
        OutputRefused: it is, whatever links, letter case or hard links it is reached by; or it is
            a device, a pipe or a socket, whose place no file may take.
    """
    place = target.expanduser()
    _require_replaceable(target, place)
    resolved = _resolved(place)
    for needed, why in _needed(settings):
        if (
            _is_same(place, resolved, needed)
            or _folded(needed).is_relative_to(_folded(resolved))
            or _is_inside(resolved, needed)
            or _is_hard_link_into(place, needed)
        ):
            raise _refused(target, needed, why)
    home = _resolved(settings.home.expanduser())
    if _folded(resolved.parent) == _folded(home) and resolved.suffix.lower() == ".lock":
        raise _refused(target, resolved)


def _require_replaceable(target: Path, place: Path) -> None:
    parent = _resolved(place.parent)
    is_special = place.exists() and not (place.is_file() or place.is_dir())
    if is_special or parent == _DEVICES or parent.is_relative_to(_PROCESSES):
        raise OutputRefused(
            f"{target} is no regular file, and a file would take its place. Name a file; hatif "
            "query without --output writes to standard output"
        )


def _refused(target: Path, needed: Path, why: str = _OURS) -> OutputRefused:
    return OutputRefused(
        f"{target} is, holds or links to {needed}, which {why}. Choose another name"
    )


def _needed(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield the files and folders that no output may replace, each with whose it is."""
    for path in (*_files(settings), *_folders(settings)):
        yield path, _OURS
    for name, path in settings.inputs.items():
        yield path, f"{name} names"
    for path in _of_dagster():
        yield path, "is Dagster's"


def _of_dagster() -> list[Path]:
    # `make ui` sets DAGSTER_HOME for itself alone, to a folder beside `.env`.
    homes = {Path(os.environ.get("DAGSTER_HOME") or ".dagster"), Path(".dagster")}
    return [home.absolute() / name for home in homes for name in _OF_DAGSTER]


def _folders(settings: Settings) -> list[Path]:
    # DuckDB empties its temporary folder and removes it.
    places = (settings.lake_path, settings.webhook_location, str(settings.home / "tmp"))
    return [Path(absolute(place)) for place in places if "://" not in place]


def _files(settings: Settings) -> list[Path]:
    home = Path(absolute(str(settings.home)))
    catalog = Catalog.of(settings).file
    found = [home / name for name in _IN_THE_HOME]
    found += [*home.glob("*.lock"), Path.cwd() / ".env"]
    if catalog is not None:
        found += [catalog.absolute().with_name(catalog.name + end) for end in _OF_SQLITE]
        # Locks and the budget of a catalog that does not lie in the home.
        real = _resolved(catalog)
        found += real.parent.glob(f"{glob.escape(real.name)}.*")
    return found


def _is_same(place: Path, resolved: Path, ours: Path) -> bool:
    if _folded(resolved) == _folded(_resolved(ours)):
        return True
    try:
        return place.samefile(ours)
    except OSError:
        return False  # one of the two is not there


def _is_inside(resolved: Path, folder: Path) -> bool:
    if _folded(resolved).is_relative_to(_folded(_resolved(folder))):
        return True
    if not folder.exists():
        return False
    return any(above.exists() and above.samefile(folder) for above in resolved.parents)


def _is_hard_link_into(place: Path, folder: Path) -> bool:
    """Whether a file is another name of one in a folder; looked for only where it has two names."""
    try:
        found = place.stat()
    except OSError:
        return False
    if found.st_nlink < 2 or place.is_dir() or not folder.is_dir():
        return False
    return any(os.path.samestat(found, other) for _, other in disk.files(folder))


def _resolved(path: Path) -> Path:
    """Return a path without links; of one that leads to itself, the path."""
    return Path(os.path.realpath(path))


def _folded(path: Path) -> Path:
    """Return a path to compare on file systems that ignore letter case."""
    return Path(str(path).casefold())


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Lend a path beside `file` to write to; it takes the file's place at once when all is written.

    Where the block fails, the file is what it was and nothing is left beside it.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)  # of a process that was killed, or a link set as a trap
    try:
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
