"""A lake in a bucket: how DuckDB and this program reach it, and what its refusals mean.

Both take the usual variables: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_SESSION_TOKEN``, ``AWS_REGION`` (or ``AWS_DEFAULT_REGION``) and ``AWS_ENDPOINT_URL`` (or
``AWS_ENDPOINT_URL_S3``) for services other than Amazon's, whose buckets are addressed by path.
Without keys there, those of a profile or of the machine's role are looked for, as Amazon's own
programs do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pyarrow import fs

from hatif.errors import HomeError
from warehouse.errors import StoreUnavailable
from warehouse.lake.bucket_errors import CHECK, explained
from warehouse.lake.sql import literal

T = TypeVar("T")

_CREDENTIALS = "hatif_lake"
_SECONDS = 20.0
#: Nothing listens there: for times at which no object may be touched.
_NOWHERE = "127.0.0.1:9"
#: Seconds between tries of what is refused for now; a refusal that came slowly is not tried again.
_WAITS = (0.2, 1.0, None)
_QUICK = 5.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or what lies below a prefix in it.

    Attributes:
        address: ``s3://bucket/prefix``, without a slash at its end.
    """

    address: str

    @classmethod
    def of(cls, address: str) -> Self:
        """Return the bucket at an address."""
        return cls(address.rstrip("/"))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Extensions with which DuckDB reads and writes it."""
        return ("httpfs",) if _given("AWS_ACCESS_KEY_ID") else ("httpfs", "aws")

    def secret(self, *, is_shut: bool = False) -> str:
        """Return the statement that gives DuckDB the credentials, or takes them away.

        Raises:
            HomeError: AWS_ENDPOINT_URL is no address.
        """
        options = {"SCOPE": self.address, "REGION": _region()}
        if is_shut:
            options |= {"KEY_ID": "none", "SECRET": "none", "ENDPOINT": _NOWHERE}
            options |= {"URL_STYLE": "path", "USE_SSL": "false"}
            return _secret_of(options)
        if _given("AWS_ACCESS_KEY_ID"):
            options["KEY_ID"] = _given("AWS_ACCESS_KEY_ID")
            options["SECRET"] = _given("AWS_SECRET_ACCESS_KEY")
            options["SESSION_TOKEN"] = _given("AWS_SESSION_TOKEN")
        else:
            options["PROVIDER"] = "credential_chain"
        if (endpoint := _endpoint()) is not None:
            options["ENDPOINT"] = f"{endpoint.netloc}{endpoint.path.rstrip('/')}"
            options["URL_STYLE"] = "path"
            options["USE_SSL"] = "true" if endpoint.scheme == "https" else "false"
        return _secret_of(options)

    def read(self, path: str) -> bytes | None:
        """Return the content of an object below, None where there is none.

        Raises:
            HomeError: the bucket refuses.
        """

        def read() -> bytes | None:
            try:
                with self.filesystem().open_input_stream(
                    self._key(path), compression=None
                ) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return self._patiently("read", read)

    def write(self, path: str, content: bytes) -> None:
        """Write an object below, in place of what was there.

        Raises:
            HomeError: the bucket refuses.
        """

        def write() -> None:
            with self.filesystem().open_output_stream(self._key(path)) as stream:
                stream.write(content)

        self._patiently("write to", write)

    def names(self, before: datetime | None = None) -> set[str]:
        """Return the names of objects and folders directly below.

        Args:
            before: only of objects last written before that.

        Raises:
            HomeError: the bucket is not there, or refuses.
        """
        found = self._listed(recursive=False)
        return {info.base_name for info in found if _is_of_before(info, before)}

    def missing(self, paths: Sequence[str]) -> list[str]:
        """Return those of these objects that are not there.

        Raises:
            HomeError: the bucket refuses.
        """
        keys = [self._key(path) for path in paths]
        found = self._patiently("read", lambda: self.filesystem().get_file_info(keys))
        there = [info.type == fs.FileType.File for info in found]
        return [path for path, is_there in zip(paths, there, strict=True) if not is_there]

    def files(self, before: datetime | None = None) -> Iterator[tuple[str, int]]:
        """Yield the path of every object below, and its bytes.

        Args:
            before: only of objects last written before that.

        Raises:
            HomeError: the bucket is not there, or refuses.
        """
        root = f"{self._root}/"
        for info in self._listed(recursive=True):
            if info.type == fs.FileType.File and _is_of_before(info, before):
                yield info.path.removeprefix(root), info.size or 0

    def _listed(self, *, recursive: bool) -> list[fs.FileInfo]:
        filesystem, root = self.filesystem(), self._root
        selector = fs.FileSelector(root, recursive=recursive, allow_not_found=True)
        found = list(self._patiently("list", lambda: filesystem.get_file_info(selector)))
        bucket = root.split("/")[0]
        if not found:
            there = self._patiently("list", lambda: filesystem.get_file_info(bucket))
            if there.type == fs.FileType.NotFound:
                raise HomeError(f"HATIF_LAKE: there is no bucket {bucket}; {CHECK}")
        return found

    def _patiently(self, verb: str, work: Callable[[], T]) -> T:
        """Do something again that the bucket refused for now; pyarrow alone gives up too soon.

        Raises:
            HomeError: the bucket refuses.
        """
        for wait in _WAITS:
            began = time.monotonic()
            try:
                return work()
            except OSError as error:
                refusal = self._refusal(verb, error)
                is_quick = time.monotonic() - began < _QUICK
                if wait is None or not is_quick or not isinstance(refusal, StoreUnavailable):
                    raise refusal from None
            time.sleep(wait)
        raise AssertionError(verb)  # the last wait is None

    @property
    def _root(self) -> str:
        return self.address.removeprefix("s3://")

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _refusal(self, verb: str, error: OSError) -> HomeError:
        found = explained(str(error))
        kind = StoreUnavailable if found.passes else HomeError
        return kind(f"HATIF_LAKE: cannot {verb} {self.address}: {found.text}")

    def filesystem(self) -> fs.S3FileSystem:
        """Return the service as pyarrow reaches it; paths on it begin with the bucket.

        Raises:
            HomeError: an address is none.
        """
        endpoint = _endpoint()
        more = {}
        if endpoint is not None:
            more = {
                "endpoint_override": f"{endpoint.netloc}{endpoint.path.rstrip('/')}",
                "scheme": endpoint.scheme,
            }
        try:
            return fs.S3FileSystem(
                region=_region(), connect_timeout=_SECONDS, request_timeout=_SECONDS, **more
            )
        except (OSError, ValueError) as error:
            raise HomeError(f"HATIF_LAKE: {self.address}: {explained(str(error)).text}") from None


def _is_of_before(info: fs.FileInfo, before: datetime | None) -> bool:
    return before is None or (info.mtime is not None and info.mtime < before)


def _secret_of(options: Mapping[str, str]) -> str:
    listed = ", ".join(f"{key} {literal(value)}" for key, value in options.items() if value)
    return f"CREATE OR REPLACE SECRET {_CREDENTIALS} (TYPE s3, {listed})"


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def _region() -> str:
    return _given("AWS_REGION") or _given("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint() -> SplitResult | None:
    """Return the address of a service that is not Amazon's, None where none is named.

    Raises:
        HomeError: it is no address.
    """
    text = _given("AWS_ENDPOINT_URL_S3") or _given("AWS_ENDPOINT_URL")
    if not text:
        return None
    try:
        found = urlsplit(text)
        is_one = found.scheme in ("http", "https") and found.hostname and found.port != 0
    except ValueError:
        is_one = None
    if not is_one or "@" in found.netloc:
        raise HomeError("AWS_ENDPOINT_URL: must be http://HOST[:PORT] or https://HOST[:PORT]")
    return found
