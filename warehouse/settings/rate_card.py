"""Rate cards: what a message costs, by country, type and date, as a CSV of the user's own.

``country,message_type,effective_from,currency,rate[,category]``; ``*`` in the first two stands for
any. Lines that start with ``#`` are remarks. Rules of a provider that change over time are rows of
this file, never code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from warehouse.settings.csv_file import DATE_RANGE, Form, on_line, parse_date, read_rows

_COLUMNS = ("country", "message_type", "effective_from", "currency", "rate")
_FORM = Form(f"{','.join(_COLUMNS)}[,category]", (_COLUMNS, (*_COLUMNS, "category")))
#: What `message_type` of core.messages can be; a rate of any other would match nothing.
MESSAGE_TYPES = frozenset(
    {
        *("text", "image", "video", "audio", "document", "location", "contact", "sticker"),
        *("template", "interactive", "reaction", "unsupported"),
    }
)
_INSTANT = (
    f"effective_from must be a date {DATE_RANGE}, or a time with its offset "
    "(2026-10-01T00:00+03:00)"
)
#: Money is stored as DECIMAL(18,6).
_PLACES = 6
_LIMIT = Decimal(10) ** 12

#: Made-up figures, to play with.
SAMPLE = Path(__file__).with_name("sample_rate_card.csv")


@dataclass(frozen=True, slots=True)
class Rate:
    """A price from an instant on.

    Attributes:
        country: ISO 3166-1 alpha-2, or ``*``.
        message_type: as in core.messages, or ``*``.
        effective_from: the first instant it applies to, UTC.
        currency: ISO 4217.
        rate: of one message.
        category: a label, e.g. marketing.
    """

    country: str
    message_type: str
    effective_from: datetime
    currency: str
    rate: Decimal
    category: str | None


def parse_rate_card(path: Path, zone: str) -> tuple[Rate, ...]:
    """Read a rate card.

    Args:
        path: of the CSV, UTF-8.
        zone: dates without a time begin at midnight here.

    Raises:
        ValueError: a sentence that names the mistake and its line.
    """
    rates: dict[tuple[str, str, datetime], Rate] = {}
    for line, cells in read_rows(path, _FORM):
        with on_line(line):
            rate = _rate(cells, zone)
            key = (rate.country, rate.message_type, rate.effective_from)
            if key in rates:
                raise ValueError(
                    "another line has the same country, message_type and effective_from; keep one"
                )
            rates[key] = rate
    if not rates:
        raise ValueError(f"the file holds no rate; it needs lines of {_FORM.usage}")
    return tuple(rates[key] for key in sorted(rates))


def _rate(cells: Mapping[str, str], zone: str) -> Rate:
    country, message_type = cells["country"].upper(), cells["message_type"].lower()
    if country != "*" and not _is_country(country):
        raise ValueError("country must be two letters such as SA (ISO 3166-1), or *")
    if message_type != "*" and message_type not in MESSAGE_TYPES:
        raise ValueError(f"message_type must be one of {', '.join(sorted(MESSAGE_TYPES))}, or *")
    if not re.fullmatch(r"[A-Za-z]{3}", cells["currency"]):
        raise ValueError("currency must be three letters (ISO 4217)")
    return Rate(
        country,
        message_type,
        _instant(cells["effective_from"], zone),
        cells["currency"].upper(),
        _amount(cells["rate"]),
        cells["category"] or None,
    )


def _is_country(code: str) -> bool:
    """Whether a phone number can be of that country: core.contacts.country comes from there."""
    from phonenumbers import SUPPORTED_REGIONS  # the lake loads it, too; alone it takes 0.1 s

    return code in SUPPORTED_REGIONS


def _instant(text: str, zone: str) -> datetime:
    if re.fullmatch(r"[0-9-]*", text):
        return datetime.combine(_effective(text), time(), ZoneInfo(zone)).astimezone(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_INSTANT) from None
    if found.tzinfo is None:
        raise ValueError(_INSTANT)
    _effective(f"{found:%Y-%m-%d}")
    return found.astimezone(UTC)


def _effective(text: str) -> date:
    try:
        return parse_date(text)
    except ValueError:
        raise ValueError(_INSTANT) from None


def _amount(text: str) -> Decimal:
    message = f"rate must be a number such as 0.0455, not negative, at most {_PLACES} decimals"
    try:
        found = Decimal(text) if re.fullmatch(r"[0-9.eE+-]{1,40}", text) else Decimal("NaN")
        if not found.is_finite() or found.is_signed() or found >= _LIMIT:
            raise ValueError(message)
        stored = found.quantize(Decimal(1).scaleb(-_PLACES))
    except InvalidOperation:  # also of a number whose exponent is beyond all measure
        raise ValueError(message) from None
    if stored != found:
        raise ValueError(message)
    return stored
