"""Checks of single settings: each returns the value to use, or raises ValueError with a sentence.

No message shows the value: a secret may have been pasted into the wrong line.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from warehouse.settings.csv_file import user_path

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_BUCKET = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,62}([/?].*)?")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def text(value: str) -> str:
    """Check what holds for every setting: one line of Unicode."""
    if _CONTROL.search(value):
        raise ValueError("holds a line break or another control character; write it on one line")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return value


def base_url(value: str) -> str:
    """Check an address of the service; it is returned without its last slash."""
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and parts.port != 0 and _is_host(parts)
    except ValueError:
        sound = False
    if not sound or re.search(r"[^!-~]|[\\\"<>^`{|}]", value):
        raise ValueError("must be an http:// or https:// address such as https://api.voxa.sa")
    if "@" in parts.netloc:
        raise ValueError(
            "must not hold a user name or password; credentials go into HATIF_CLIENT_ID and "
            "HATIF_CLIENT_SECRET"
        )
    if "?" in value or "#" in value:
        raise ValueError("must end before any ? or #")
    return value.rstrip("/")


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if parts.netloc.rpartition("@")[2].startswith("["):
        return bool(ipaddress.IPv6Address(host))
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdigit():
        return bool(ipaddress.IPv4Address(host))
    return len(host) <= 253 and all(map(_LABEL.fullmatch, labels))


def time_zone(value: str) -> str:
    """Check the name of a time zone."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not the name of a time zone, such as Asia/Riyadh") from None
    return value


def share(value: str) -> str:
    """Check a percentage from 0% to 100%."""
    found = _SHARE.fullmatch(value)
    if found is None or float(found[1]) > 100:
        raise ValueError("must be a percentage from 0% to 100%, such as 10%")
    return value


def location(value: str) -> str:
    """Check a directory, which need not be there yet, or an ``s3://`` address."""
    if value.startswith("s3://"):
        if not _BUCKET.fullmatch(value):
            raise ValueError("must name a bucket: s3://bucket/prefix")
        return value
    if _SCHEME.match(value):
        raise ValueError("must be a path or s3://bucket/prefix; no other kind of address is known")
    path = user_path(value)
    for known in (path, *path.parents):
        try:
            if known.is_dir():
                break
            if known.exists():
                raise ValueError("must be a directory, and there is a file of that name")
        except OSError as error:
            raise ValueError(f"cannot be used as a directory ({error.strerror})") from None
    return str(path)


def directory(value: Path) -> Path:
    """Check the path of a local directory; ``~`` is a home directory."""
    if _SCHEME.match(str(value)):
        raise ValueError("must be a path on this machine")
    return user_path(str(value))
