"""Directories and buckets of webhook files, listed and opened in one way, and their formats.

A file counts as unchanged while its size, identity and change stamp are. For a local file that is
the inode's change time, which no program can set; a modification time can be copied along. A
rotated name (``a.ndjson.1``, ``a.ndjson-20261101.gz``, ``a.ndjson.gz.2``) stands for the name
before the ending (`format_of`).
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, Self, cast

import pyarrow as pa
from pyarrow import fs

from hatif.errors import BucketUnreachable, SettingsError
from hatif.webhooks.reasons import Reason

_ROTATED = r"(?:[._-](?:[0-9][0-9tz.:_+-]*|old))?"
_NAME = re.compile(rf"\.(json|ndjson|jsonl){_ROTATED}(?:\.(gz|zst))?{_ROTATED}\Z", re.IGNORECASE)


class Format(NamedTuple):
    """How the bytes of a file are to be read.

    Attributes:
        is_lines: a unit a line; else one document.
        packing: gz or zst, None where the content lies open.
    """

    is_lines: bool
    packing: str | None

    @property
    def can_resume(self) -> bool:
        """Whether reading can go on in the middle of the file."""
        return self.is_lines and self.packing is None


def format_of(name: str) -> Format | None:
    """Return the format of a webhook file; None if by its name it is none."""
    match = _NAME.search(name)
    if match is None:
        return None
    return Format(match[1].lower() != "json", match[2] and match[2].lower())


#: What the receiver makes beside its files.
_OURS = re.compile(r"\.probe-\d+|open-[\w-]+\.new")
#: Words of Amazon's library for what may be over a minute later.
_PASSING = frozenset(
    [
        "INTERNAL_FAILURE",
        "NETWORK_CONNECTION",
        "REQUEST_TIMEOUT",
        "SERVICE_UNAVAILABLE",
        "SLOW_DOWN",
        "THROTTLING",
    ]
)
#: Parts of an object's key that are none of a path.
_ODD = frozenset({"", ".", ".."})
_REST_NS = 3_600 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Found(NamedTuple):
    """A file as listed.

    Attributes:
        path: below the place, with slashes; bytes that are no UTF-8 as backslash escapes.
        name: what `Place.open` opens.
        size: in bytes.
        file_id: what stays the same under another name; None where nothing does.
        changed: when it last changed, in nanoseconds.
        modified_at: what a bare body takes as its receive time.
        problem: why it cannot be read, None if it can.
    """

    path: str
    name: str
    size: int
    file_id: str | None
    changed: int
    modified_at: datetime
    problem: Reason | None = None

    def is_at_rest(self, now: int) -> bool:
        """Return whether it has not changed for an hour.

        A modification time that was copied along counts: what is set aside too early is read when
        the file grows. One in the future does not.

        Args:
            now: in nanoseconds.
        """
        modified = int(self.modified_at.timestamp() * 1e9)
        return now - min(modified, self.changed or modified) > _REST_NS


class Place(Protocol):
    """Somewhere to read webhook files from."""

    def files(self) -> Iterator[Found]:
        """Yield all webhook files below, in the order of their paths."""

    def others(self) -> Iterator[str]:
        """Yield the paths of the files below that are no webhook files by their names."""

    def open(self, found: Found) -> BinaryIO:
        """Open one.

        Raises:
            OSError: it cannot be read, or is no longer what was listed.
        """

    def holds(self, path: str, file_id: str) -> bool:
        """Return whether that very file still has that path."""

    def is_put_right(self, path: str) -> bool:
        """Return whether a folder or link that had a problem is there and has none any more."""


def place_of(location: str) -> Place:
    """Return the place at a path or an ``s3://`` address.

    Raises:
        SettingsError: the address is malformed.
    """
    if "://" not in location:
        return Directory(Path(location))
    try:
        filesystem, root = fs.FileSystem.from_uri(location)
    except (OSError, ValueError):
        filesystem, root = None, ""
    if not isinstance(filesystem, fs.S3FileSystem):
        raise SettingsError("HATIF_WEBHOOK_DIR: must be a path or s3://bucket/prefix")
    return Bucket(filesystem, root)


def _is_other(name: str) -> bool:
    """Return whether a file is neither a webhook file nor made by the receiver."""
    return format_of(name) is None and _OURS.fullmatch(name) is None


class Directory:
    """A local directory. Links are not followed: they could lead anywhere, or in a circle.

    A link to a file or folder outside is listed with that problem. What a link inside leads to is
    listed under its own path.

    Args:
        root: may be missing, which is like being empty.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)

    def files(self) -> Iterator[Found]:
        """Yield all webhook files below, in the order of their paths."""
        for found in self._below(""):
            if not isinstance(found, str):
                yield found

    def others(self) -> Iterator[str]:
        """Yield the paths of the files below that are no webhook files by their names."""
        return (found for found in self._below("") if isinstance(found, str))

    def _below(self, folder: str) -> Iterator[Found | str]:
        """Yield webhook files, and of others the path."""
        # Of each folder on the way down what is left of it: no depth is too deep.
        left = [iter(self._names(folder))]
        while left:
            name = next(left[-1], None)
            if name is None:
                left.pop()
            elif isinstance(name, Found):
                yield name
            elif stat.S_ISDIR(name[1].st_mode):
                left.append(iter(self._names(name[0])))
            else:
                yield from self._listed(*name)

    def _names(self, folder: str) -> Iterator[tuple[str, os.stat_result] | Found]:
        """Yield the paths in a folder with what they are, or why that cannot be known."""
        try:
            names = sorted(os.listdir(Path(self._root, folder)))  # noqa: PTH208 - names only
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            yield _without_content(folder, Reason.UNREADABLE)
            return
        for name in names:
            path = f"{folder}/{name}" if folder else name
            try:
                yield path, os.lstat(f"{self._root}/{path}")
            except FileNotFoundError:
                continue  # gone since, or about to show up under its final name
            except OSError:
                yield _without_content(path, Reason.UNREADABLE)

    def _listed(self, path: str, found: os.stat_result) -> Iterator[Found | str]:
        """Yield something that is no folder."""
        name = path.rpartition("/")[2]
        if stat.S_ISLNK(found.st_mode):
            yield from self._link(path)
        elif format_of(name) is None:
            if _is_other(name):
                yield _shown(path)
        elif stat.S_ISREG(found.st_mode):
            yield _local(path, found)
        else:
            yield _without_content(path, Reason.UNREADABLE)

    def _link(self, path: str) -> Iterator[Found | str]:
        """Yield what is wrong with a link; nothing if what it leads to is listed anyway."""
        try:
            yield from self._linked(path)
        except OSError:  # what it leads to cannot be looked at: permissions, a name too long
            yield _without_content(path, Reason.UNREADABLE)

    def _linked(self, path: str) -> Iterator[Found | str]:
        root = os.path.realpath(self._root)
        target = Path(os.path.realpath(f"{self._root}/{path}"))
        if format_of(path) is None and not target.is_dir():
            yield _shown(path)
        elif os.path.commonpath((root, target)) != root:
            yield _without_content(path, Reason.OUTSIDE)
        elif not target.exists() or (target.is_file() and format_of(target.name) is None):
            yield _without_content(path, Reason.UNREADABLE)

    def open(self, found: Found) -> BinaryIO:
        """Open a listed file, if it still is that file."""
        # Non-blocking, since a pipe put in its place would never open.
        fd = os.open(f"{self._root}/{found.name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        stream = os.fdopen(fd, "rb", buffering=0)
        now = os.fstat(fd)
        if not stat.S_ISREG(now.st_mode) or _file_id(now) != found.file_id:
            stream.close()
            raise FileNotFoundError(found.name)
        return cast("BinaryIO", stream)

    def holds(self, path: str, file_id: str) -> bool:
        """Return whether that very file still has that path."""
        try:
            return _file_id(os.lstat(f"{self._root}/{path}")) == file_id
        except OSError:
            return False

    def is_put_right(self, path: str) -> bool:
        """Return whether a folder or link that had a problem is there and has none any more."""
        try:
            mode = os.lstat(f"{self._root}/{path}").st_mode
            if stat.S_ISLNK(mode):
                return not any(isinstance(found, Found) for found in self._link(path))
            return stat.S_ISDIR(mode) and os.listdir(f"{self._root}/{path}") is not None  # noqa: PTH208
        except OSError:
            return False


class Bucket:
    """A bucket, or what is below a prefix in it; objects never grow, they are replaced."""

    def __init__(self, filesystem: fs.S3FileSystem, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def files(self) -> Iterator[Found]:
        """Yield all webhook objects below, in the order of their keys.

        Raises:
            BucketUnreachable: they cannot be listed, or there is no such bucket. A prefix without
                objects is like an empty directory.
        """
        for info in self._objects():
            if format_of(info.base_name) is not None:
                changed = info.mtime_ns or 0
                when = datetime.fromtimestamp(changed / 1e9, UTC)
                path = self._below(info)
                # Arrow reads keys as paths: it opens none with such a part.
                problem = None if _ODD.isdisjoint(path.split("/")) else Reason.UNREADABLE
                yield Found(path, info.path, info.size, None, changed, when, problem)

    def others(self) -> Iterator[str]:
        """Yield the keys of the objects below that are no webhook files by their names."""
        return (self._below(info) for info in self._objects() if _is_other(info.base_name))

    def _below(self, info: fs.FileInfo) -> str:
        return str(info.path.removeprefix(self._root + "/"))

    def _objects(self) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        bucket = self._root.split("/")[0]
        try:
            infos = self._filesystem.get_file_info(selector)
            if not infos and self._filesystem.get_file_info(bucket).type == fs.FileType.NotFound:
                raise BucketUnreachable(f"HATIF_WEBHOOK_DIR: there is no bucket {bucket}")
        except OSError as error:
            # The whole message names hosts and can quote the request.
            raise BucketUnreachable(
                f"HATIF_WEBHOOK_DIR: cannot list s3://{self._root} ({_kind(error)}); check the "
                "address, the AWS_… variables and the network",
                transient=_kind(error) in _PASSING,
            ) from None
        found = (info for info in infos if info.type == fs.FileType.File)
        return sorted(found, key=lambda info: info.path)

    def open(self, found: Found) -> BinaryIO:
        """Open an object, as it is stored: Arrow would unpack what is named like a packed file."""
        try:
            stream = self._filesystem.open_input_stream(found.name, compression=None)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _of_service(error) from None
        return cast("BinaryIO", _Object(stream))

    def holds(self, path: str, file_id: str) -> bool:  # noqa: ARG002
        """Objects have no identity beside their key."""
        return False

    def is_put_right(self, path: str) -> bool:  # noqa: ARG002
        """There are no folders and links."""
        return False


class _Object:
    """An object's content; its errors have a number, as a file's: they are not the data's."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._stream.read(None if size < 0 else size))
        except OSError as error:
            raise _of_service(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _of_service(error: OSError) -> OSError:
    return OSError(errno.EIO, _kind(error))


def _kind(error: OSError) -> str:
    """The service's word for what went wrong, such as ``ACCESS_DENIED``."""
    word = re.search(r"AWS Error (\w+)", str(error))
    return word[1] if word else type(error).__name__


def _local(path: str, found: os.stat_result) -> Found:
    try:
        modified_at = datetime.fromtimestamp(found.st_mtime_ns // 1_000 / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        modified_at = _EPOCH
    return Found(_shown(path), path, found.st_size, _file_id(found), found.st_ctime_ns, modified_at)


def _without_content(path: str, problem: Reason) -> Found:
    return Found(_shown(path), path, 0, None, 0, _EPOCH, problem)


def _file_id(found: os.stat_result) -> str:
    return f"{found.st_dev:x}:{found.st_ino:x}"


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
