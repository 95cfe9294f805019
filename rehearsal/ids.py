"""Identifiers and instants: sequential GUIDs, and the texts the service writes times in.

The world keeps every instant as whole microseconds since 1970 in UTC. What goes over the
wire is made here: naive local time on v1, seconds with a ``Z`` on v2 and tags.
"""

from datetime import UTC, datetime, timedelta
from random import Random

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_ONE_MS = -int((datetime(1, 1, 1, tzinfo=UTC) - EPOCH) / timedelta(milliseconds=1))


def sequential_guid(instant: int, rng: Random) -> str:
    """A GUID as ABP makes it: 48 bits of milliseconds since year 1, then 80 random bits."""
    return _dashed((instant // 1000 + _YEAR_ONE_MS) << 80 | rng.getrandbits(80))


def random_guid(rng: Random) -> str:
    """A version 4 GUID that cannot be mistaken for a sequential one."""
    value = rng.getrandbits(128) & ~(0xF << 76) | (0x4 << 76)
    text = _dashed(value)
    return "c" + text[1:] if text.startswith("3a") else text


def guid_instant(guid: str) -> int:
    """The instant of insertion that a sequential GUID carries, to the millisecond."""
    return (int(guid[:8] + guid[9:13], 16) - _YEAR_ONE_MS) * 1000


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def aware(instant: int) -> datetime:
    """The same instant as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=instant)


def naive_instant(text: str) -> int | None:
    """Microseconds since 1970 of a filter's text in Riyadh's time, None where it is none."""
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return micros(local) - 3 * HOUR


def zulu_text(instant: int) -> str:
    """``2026-10-31T08:15:02Z``: v2 and tags."""
    return datetime.fromtimestamp(instant // SECOND, UTC).isoformat()[:19] + "Z"


def naive_text(instant: int, offset_hours: int) -> str:
    """Naive local time as .NET writes it: up to six digits, trailing zeros cut."""
    text = aware(instant + offset_hours * HOUR).isoformat()[:-6]
    return text.rstrip("0") if "." in text else text


def timespan_text(duration: int) -> str:
    """A .NET TimeSpan of that many microseconds: ``[d.]hh:mm:ss[.fffffff]``."""
    days, rest = divmod(duration, DAY)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if days:
        text = f"{days}.{text}"
    return f"{text}.{fraction * 10:07}" if fraction else text


def _dashed(value: int) -> str:
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
