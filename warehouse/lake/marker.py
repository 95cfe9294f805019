"""The marker of a lake: ``.hatif-catalog`` in its folder, or below its prefix in a bucket.

Its first line is the id of the catalog that the lake belongs to, its second, as JSON, where the
catalog and the lake were.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from hatif.errors import HomeError
from warehouse.lake import disk
from warehouse.lake.catalog import Catalog

if TYPE_CHECKING:
    from warehouse.lake.bucket import Bucket

MARKER = ".hatif-catalog"
#: How DuckLake names the files that it writes.
OURS = re.compile(r"ducklake-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-delete)?\.(parquet|puffin)")


def is_written_by_us(name: str) -> bool:
    """Whether a file's name is one that DuckLake gives."""
    return OURS.fullmatch(name) is not None


class LakePlace(Protocol):
    """Where the files of a lake lie.

    Attributes:
        name: for messages.
    """

    name: str

    @property
    def place(self) -> str:
        """What a marker keeps of it."""

    def marked(self) -> tuple[str | None, dict[str, str]]:
        """Return the id in the marker, None without one, and where catalog and lake were.

        Raises:
            HomeError: it cannot be read.
        """

    def mark(self, identity: str, places: dict[str, str], *, replace: bool = False) -> None:
        """Write the marker whole; one that is there stays unless `replace`."""

    def is_full(self) -> bool:
        """Whether there is a marker, or a file that DuckLake wrote."""

    def missing(self, paths: Sequence[str]) -> list[str]:
        """Return those of these files that are not there."""


def place_of(catalog: Catalog) -> LakePlace:
    """Return where the catalog's files lie."""
    bucket = catalog.bucket
    return _Folder(Path(catalog.lake_path)) if bucket is None else _Bucket(bucket)


class _Folder:
    """A folder on this machine, or one that it has mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._marker = folder / MARKER
        self.name = str(folder)

    @property
    def place(self) -> str:
        return str(self._folder.resolve())

    def marked(self) -> tuple[str | None, dict[str, str]]:
        marker = self._marker
        if marker.exists() and not (marker.is_file() or marker.is_dir()):
            raise HomeError(f"{marker} is no regular file. Remove it; a new one is written")
        try:
            text = marker.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None, {}
        except OSError as error:
            advice = "Remove what is there"
            raise HomeError(f"cannot read {marker}: {error.strerror}. {advice}") from None
        return _read(text)

    def mark(self, identity: str, places: dict[str, str], *, replace: bool = False) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that is there and empty: a disk lost what was written.
        replace = replace or self._marker.exists()
        unfinished = self._folder / f"{MARKER}.{os.getpid()}"
        unfinished.write_text(_written(identity, places), encoding="ascii")
        try:
            if replace:
                unfinished.replace(self._marker)
            else:
                os.link(unfinished, self._marker)
        except FileExistsError:
            return
        except OSError:
            unfinished.replace(self._marker)  # a file system without hard links
        finally:
            unfinished.unlink(missing_ok=True)

    def is_full(self) -> bool:
        return self.marked()[0] is not None or next(self._our_files(), None) is not None

    def missing(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if not (self._folder / path).exists()]

    def _our_files(self) -> Iterator[Path]:
        return (path for path, _ in disk.files(self._folder) if is_written_by_us(path.name))


class _Bucket:
    """What lies below a prefix in a bucket; an object is there whole or not at all."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.name = bucket.address

    @property
    def place(self) -> str:
        return self._bucket.address

    def marked(self) -> tuple[str | None, dict[str, str]]:
        # Listed first: a refusal of a list states its reason, that of an object does not.
        content = self._bucket.read(MARKER) if MARKER in self._bucket.names() else None
        return (None, {}) if content is None else _read(content.decode("utf-8", "replace"))

    def mark(self, identity: str, places: dict[str, str], *, replace: bool = False) -> None:
        if replace or self._bucket.read(MARKER) in (None, b""):
            self._bucket.write(MARKER, _written(identity, places).encode())

    def is_full(self) -> bool:
        return any(
            path == MARKER or is_written_by_us(PurePosixPath(path).name)
            for path, _ in self._bucket.files()
        )

    def missing(self, paths: Sequence[str]) -> list[str]:
        return self._bucket.missing(paths)


def _written(identity: str, places: dict[str, str]) -> str:
    return f"{identity}\n{json.dumps(places)}\n"


def _read(text: str) -> tuple[str | None, dict[str, str]]:
    """Return the id and the places in a marker; no places where they cannot be read."""
    identity, places, *_ = [*text.splitlines(), "", ""]
    try:
        found: Any = json.loads(places)
    except ValueError:
        found = None
    known = found if isinstance(found, dict) else {}
    return identity.strip() or None, {key: str(place) for key, place in known.items()}
