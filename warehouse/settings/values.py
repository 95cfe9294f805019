"""Names and values of variables: each checked by itself, with a sentence on what is wrong.

Names are those of the environment, which wins, and of ``.env``. An empty variable counts as not
set, also where ``.env`` sets it. A check returns the value to use, or raises ValueError with a
sentence; it never shows the value, since a secret may have been pasted into the wrong line.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr, ValidationInfo

from hatif.streams import STREAMS, stream_named
from hatif.webhooks.signatures import Secrets

LIVE_URL = "https://api.voxa.sa"
#: Requests a minute that the live service allows to a workspace.
LIVE_LIMIT = 120
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_BUCKET = re.compile(
    r"s3://(?![^/?]*(?:\.\.|\.-|-\.))[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]([/?].*)?"
)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_JOINERS = "\u200c\u200d"  # invisible, but part of words and of emoji
_TWO_SETTINGS = re.compile(r"\sHATIF_[A-Z_]+=")
_QUOTES = ('""', "''", "“”", "‘’", "``")
#: What only a shell, or another system, makes a path of.
_UNEXPANDED = re.compile(r"(^|/)\$[A-Za-z_{(]|%[A-Za-z]+%|^[A-Za-z]:\\")
_KIND = re.compile(r"(sqlite|postgres(ql)?|mysql|duckdb|file|s3|gs):", re.IGNORECASE)
#: Files of the zone database that are no zones, and zones that count leap seconds.
_NO_ZONES = re.compile(r"right/.*|posixrules|localtime|Factory")


def text(value: str) -> str:
    """Check what holds for every setting: one line of Unicode."""
    if _CONTROL.search(value):
        raise ValueError("holds a line break or another control character; write it on one line")
    if any(unicodedata.category(one) == "Cf" and one not in _JOINERS for one in value):
        raise ValueError("holds an invisible character, such as a zero-width space; type it anew")
    if _TWO_SETTINGS.search(value):
        raise ValueError("holds another setting; write each on a line of its own")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return value


def no_placeholder(value: object, examples: Sequence[object]) -> None:
    """Check that a value is not what the documentation shows in its place."""
    if value in examples:
        raise ValueError("is still the example's text; write your own value, or remove the line")


def yes_or_no(value: object) -> object:
    """Check a switch."""
    if isinstance(value, str):
        if value.lower() not in ("yes", "no"):
            raise ValueError("must be yes or no")
        return value.lower() == "yes"
    return value


def plain(value: str) -> str:
    """Check a value that is used as it is: no space or quotes around it."""
    if value != value.strip():
        raise ValueError("begins or ends with a space, which would be part of it; remove it")
    if len(value) > 1 and f"{value[0]}{value[-1]}" in _QUOTES:
        raise ValueError("is in quotes, which would be part of it; remove them")
    return value


def plain_secret(value: SecretStr) -> SecretStr:
    """Check a secret in the same way."""
    plain(value.get_secret_value())
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


def budget(value: int, info: ValidationInfo) -> int:
    """Check requests a minute, beside the address that was checked before."""
    live = urlsplit(LIVE_URL).hostname
    if value > LIVE_LIMIT and urlsplit(info.data.get("base_url", "")).hostname == live:
        raise ValueError(
            f"the service allows {LIVE_LIMIT} requests a minute to the whole workspace; write "
            f"{LIVE_LIMIT} or less, or 0 for no limit of our own"
        )
    return value


def secrets(value: SecretStr) -> SecretStr:
    """Check the channels' secrets for webhook signatures."""
    Secrets(value.get_secret_value())
    return value


def proxy(value: str | None) -> str | None:
    """Check an authenticating proxy."""
    if value is not None:
        parse_proxy(value)
    return value


def intervals(value: str) -> str:
    """Check intervals by stream, see `parse_intervals`."""
    parse_intervals(value)
    return value


def time_zone(value: str) -> str:
    """Check the name of a time zone."""
    try:
        ZoneInfo(value)
        is_one = not _NO_ZONES.fullmatch(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        is_one = False
    if not is_one:
        raise ValueError("is not the name of a time zone, such as Asia/Riyadh")
    return value


def share(value: str) -> str:
    """Check a percentage from 0% to 100%."""
    found = _SHARE.fullmatch(value)
    if found is None or float(found[1]) > 100:
        raise ValueError("must be a percentage from 0% to 100%, such as 10%")
    return value


def user_path(text: str) -> Path:
    """Return a path as users write it: ``~`` and ``~name`` stand for a home directory.

    Raises:
        ValueError: there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, and there is no such user") from None


def location(value: str) -> str:
    """Check a directory, which need not be there yet, or an ``s3://`` address."""
    if value.startswith("s3://"):
        if not _BUCKET.fullmatch(value):
            raise ValueError("must name a bucket: s3://bucket/prefix")
        return value
    if _SCHEME.match(value):
        raise ValueError("must be a path or s3://bucket/prefix; no other kind of address is known")
    path = _local(value)
    for known in (path, *path.parents):
        try:
            if known.is_dir():
                break
            if known.exists():
                raise ValueError("must be a directory, and there is a file of that name")
        except OSError as error:
            raise ValueError(f"cannot be used as a directory ({error.strerror})") from None
    return str(path)


def folder(value: Path | None) -> Path | None:
    """Check the path of a folder that must be there; ``~`` is a home directory."""
    if value is None:
        return None
    path = user_path(str(value))
    try:
        if not path.is_dir():
            raise ValueError("must be a folder that exists")
    except OSError as error:
        raise ValueError(f"cannot be used as a folder ({error.strerror})") from None
    return path


def directory(value: Path) -> Path:
    """Check the path of a local directory; ``~`` is a home directory."""
    if _SCHEME.match(str(value)):
        raise ValueError("must be a path on this machine")
    return _local(str(value))


def catalog(value: str) -> str:
    """Check the form of a catalog's name; its kind is checked where it is opened."""
    kind, _, place = plain(value).partition(":")
    if kind == "sqlite" and place:
        _local(place)
    return value


def _local(value: str) -> Path:
    """Check a path, which need not be there yet, and return it without ``~``."""
    if _UNEXPANDED.search(plain(value)):
        raise ValueError("holds a variable or a drive, which mean nothing here; write the path out")
    if _KIND.match(value):
        raise ValueError("must be a path, without the kind of anything before it")
    path = user_path(value)
    if path.absolute() == Path(path.absolute().anchor):
        raise ValueError("must not be the root of the file system")
    return path


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([a-z_]+)\s*=\s*([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([smhdw]?)")
#: More than ten years are a mistake, and beyond all dates soon.
_LONGEST = timedelta(days=3660)

#: A schedule ticks a little early at times: an interval counts as over a twentieth before its end.
EARLY = 0.05


def parse_proxy(text: str) -> tuple[str, str]:
    """Return address and header, lower case, of an authenticating proxy."""
    address, _, header = text.strip().rpartition("=")
    try:
        known = str(ipaddress.ip_address(address.strip()))
    except ValueError:
        known = ""
    if not known or not _HEADER.fullmatch(header.strip()):
        raise ValueError(
            "must be ADDRESS=HEADER, the proxy's IP address and the header that names the user"
        )
    return known, header.strip().lower()


def parse_intervals(text: str) -> dict[str, timedelta]:
    """Read ``contacts=1h,statistics=24h``; units s, m, h, d, w.

    Raises:
        ValueError: with a sentence on what is wrong; it quotes nothing.
    """
    found: dict[str, timedelta] = {}
    for number, part in enumerate((part.strip() for part in text.split(",")), 1):
        if not part:
            continue
        match = _PART.fullmatch(part.lower())
        if match is None:
            raise ValueError(f"pair {number}: must be a stream and a time such as contacts=1h")
        stream = stream_named(match[1])
        if stream is None:
            (nearest,) = difflib.get_close_matches(match[1], STREAMS, 1, cutoff=0)
            raise ValueError(
                f"pair {number}: names no stream, the nearest is {nearest}; there are "
                f"{', '.join(STREAMS)}"
            )
        if stream.name in found:
            raise ValueError(f"pair {number}: a second interval of {stream.name}; keep one")
        found[stream.name] = _interval(number, match[2], match[3])
    return found


def _interval(number: int, count: str, unit: str) -> timedelta:
    if not unit and float(count):
        raise ValueError(f"pair {number}: needs a unit: s, m, h, d or w, such as 30m")
    one = timedelta(**{_UNITS[unit or "s"]: 1})
    if float(count) > _LONGEST / one:
        raise ValueError(f"pair {number}: must be at most {_LONGEST.days}d")
    return float(count) * one


def interval_of(stream: str, given: Mapping[str, timedelta]) -> timedelta | None:
    """Return the least time between two whole reads of a list of this stream; None for never."""
    return given.get(stream, STREAMS[stream].interval)


PREFIX = "HATIF_"
#: Other marks in the place of ours, or before it: HATIF-HOME, or an invisible one.
_ALMOST = re.compile(r"^HATIF[^A-Z0-9_]|[^\w]HATIF_")
#: Settings of the contract that are read by no part of this version.
PLANNED = frozenset(PREFIX + name for name in ("MASK", "RETENTION"))


def mistaken_names(names: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each name with our prefix that is no setting.

    Args:
        names: of variables, in any casing.
        known: the settings, in upper case with their prefix.
    """
    for name in sorted({name.upper() for name in names}):
        if name in known or not (name.startswith(PREFIX) or _ALMOST.search(name)):
            continue
        shown = re.sub(r"[^\w]", "?", name)[:60]
        if name in PLANNED:
            yield f"{shown}: is not used by this version yet; remove it"
        else:
            (nearest,) = difflib.get_close_matches(name, sorted(known), 1, cutoff=0)
            yield f"{shown}: there is no such setting; the nearest is {nearest}"
