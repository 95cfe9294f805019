"""Rate cards: what a message costs, by country, type and date, as a CSV of the user's own.

``country,message_type,effective_from,currency,rate[,category]``; ``*`` in the first two stands for
any. Lines that start with ``#`` are remarks. Rules of a provider that change over time are rows of
this file, never code.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

_COLUMNS = ("country", "message_type", "effective_from", "currency", "rate")
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
        ValueError: a sentence that says what is wrong, and on which line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"must be a readable UTF-8 file {','.join(_COLUMNS)}[,category]") from None
    rates: dict[tuple[str, str, datetime], Rate] = {}
    reader = csv.reader(text.splitlines())
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or cells[0].lower() == _COLUMNS[0]:
            continue
        try:
            rate = _rate(cells, zone)
        except ValueError as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None
        key = (rate.country, rate.message_type, rate.effective_from)
        if key in rates:
            raise ValueError(
                f"line {reader.line_num}: another line has the same country, message_type and "
                "effective_from; keep one"
            )
        rates[key] = rate
    return tuple(rates[key] for key in sorted(rates))


def _rate(cells: list[str], zone: str) -> Rate:
    if len(cells) not in (len(_COLUMNS), len(_COLUMNS) + 1):
        raise ValueError(f"needs {','.join(_COLUMNS)}[,category]")
    country, message_type, effective_from, currency, rate, *category = cells
    if not re.fullmatch(r"\*|[A-Za-z]{2}", country):
        raise ValueError("country must be two letters (ISO 3166-1), or *")
    if not re.fullmatch(r"\*|[A-Za-z_]+", message_type):
        raise ValueError("message_type must be a word such as template, or *")
    if not re.fullmatch(r"[A-Za-z]{3}", currency):
        raise ValueError("currency must be three letters (ISO 4217)")
    return Rate(
        country.upper(),
        message_type.lower(),
        _instant(effective_from, zone),
        currency.upper(),
        _amount(rate),
        category[0] if category and category[0] else None,
    )


def _instant(text: str, zone: str) -> datetime:
    message = "effective_from must be a date, or a time with its offset (2026-10-01T00:00+03:00)"
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            midnight = datetime.combine(date.fromisoformat(text), time(), ZoneInfo(zone))
            return midnight.astimezone(UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(message) from None
    if found.tzinfo is None:
        raise ValueError(message)
    return found.astimezone(UTC)


def _amount(text: str) -> Decimal:
    message = f"rate must be a number such as 0.0455, not negative, at most {_PLACES} decimals"
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(message) from None
    if not found.is_finite() or found.is_signed() or found >= _LIMIT:
        raise ValueError(message)
    if found != found.quantize(Decimal(1).scaleb(-_PLACES)):
        raise ValueError(message)
    return found
