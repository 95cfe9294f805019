"""Rate cards: what a message costs, as a CSV of the user's own.

``market|country,effective_from,currency,rate`` and, where a heading names them, ``category``,
``message_type``, ``channel``, ``from_volume``, ``free_per_month``, ``note``. Rules of a provider
that change over time are rows of this file, never code.

Cards of earlier versions, ``country,message_type,effective_from,currency,rate[,category]``, keep
their meaning: the category is a label there and selects nothing, unless two lines differ in it
alone, which no earlier version read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from warehouse.settings.csv_file import DATE_RANGE, Form, on_line, parse_date, read_table
from warehouse.settings.markets import market_named, nearest_market

ANY = "*"
_OLD = ("country", "message_type", "effective_from", "currency", "rate")
_OLD_LAYOUTS = (_OLD, (*_OLD, "category"))
_OPTIONAL = ("category", "message_type", "channel", "from_volume", "free_per_month", "note")
_FORM = Form(
    f"{','.join(_OLD)}[,category]",
    _OLD_LAYOUTS,
    needed=(("market", "country"), ("effective_from",), ("currency",), ("rate",)),
    optional=_OPTIONAL,
    heading_usage=f"market|country,effective_from,currency,rate[,{','.join(_OPTIONAL)}]",
)
#: What `message_type` of core.messages can be; a rate of any other would match nothing.
MESSAGE_TYPES = frozenset(
    {
        *("text", "image", "video", "audio", "document", "location", "contact", "sticker"),
        *("template", "interactive", "reaction", "unsupported"),
    }
)
#: Categories of templates, and the one of all that is no template.
TEMPLATE_CATEGORIES = (
    *("marketing", "utility", "authentication", "authentication_international", "marketing_lite"),
)
SERVICE = "service"
CATEGORIES = (*TEMPLATE_CATEGORIES, SERVICE)
_INSTANT = (
    f"effective_from must be a date {DATE_RANGE}, or a time with its offset "
    "(2026-10-01T00:00+03:00)"
)
_WITH_OFFSET = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})", re.ASCII
)
#: Stands for text that can be no code.
_NO_CODE = "?"
#: Money is stored as DECIMAL(18,6).
_PLACES = 6
_LIMIT = Decimal(10) ** 12
_MOST_MESSAGES = 10**12

#: Made-up figures, to play with.
SAMPLE = Path(__file__).with_name("sample_rate_card.csv")


@dataclass(frozen=True, slots=True)
class Rate:
    """A price from an instant on. What selects messages is ``*`` where it selects all.

    Attributes:
        market: of WhatsApp's price list, by the contact's calling code.
        country: ISO 3166-1 alpha-2, of the contact's number; a rate names one of the two.
        category: marketing, utility, authentication, …, or service.
        message_type: as in core.messages.
        channel: a channel id.
        effective_from: the first instant it applies to, UTC.
        currency: ISO 4217.
        rate: of one message.
        from_volume: so many messages of its market and category are charged in the month before it
            applies.
        free_per_month: so many messages of its category and of a channel are free in a month.
        line: of the file.
    """

    market: str
    country: str
    category: str
    message_type: str
    channel: str
    effective_from: datetime
    currency: str
    rate: Decimal
    from_volume: int = 0
    free_per_month: int = 0
    line: int = field(default=0, repr=False, compare=False)

    @property
    def selects(self) -> tuple[str, ...]:
        """What it selects messages by."""
        return self.market, self.country, self.category, self.message_type, self.channel

    @property
    def precedence(self) -> int:
        """How selective it is: market or country first, then category, type and channel."""
        place = 2 if self.country != ANY else int(self.market != ANY)
        rest = (self.category, self.message_type, self.channel)
        for selected in rest:
            place = 2 * place + (selected != ANY)
        return place


def parse_rate_card(path: Path, zone: str) -> tuple[Rate, ...]:
    """Read a rate card.

    Args:
        path: of the CSV, UTF-8.
        zone: dates without a time begin at midnight here.

    Raises:
        ValueError: a sentence that names the mistake and its line.
    """
    table = [
        (line, columns, dict.fromkeys(_FORM.names, "") | dict(zip(columns, cells, strict=True)))
        for line, columns, cells in read_table(path, _FORM)
    ]
    if not table:
        raise ValueError(f"the file holds no rate; it needs lines of {_FORM.heading_usage}")
    is_old = all(columns in _OLD_LAYOUTS for _, columns, _ in table)
    rates: list[Rate] = []
    for line, columns, cells in table:
        with on_line(line):
            _check_separator(columns, cells)
            rates.append(replace(_rate(cells, zone, is_old=is_old), line=line))
    if is_old and _are_distinct(rates):
        # As earlier versions read it: a label.
        rates = [replace(rate, category=ANY) for rate in rates]
    for rate in rates:
        with on_line(rate.line):
            _check(rate)
    _compare(rates)
    return tuple(sorted(rates, key=lambda rate: (rate.selects, rate.effective_from, rate.line)))


def _are_distinct(rates: list[Rate]) -> bool:
    """Whether no two lines differ in the category alone, or in nothing."""
    keys = {(rate.country, rate.message_type, rate.effective_from) for rate in rates}
    return len(keys) == len(rates)


def _check_separator(columns: tuple[str, ...], cells: Mapping[str, str]) -> None:
    """Refuse a rate with a decimal comma, whose rest stands in the cell after it.

    Raises:
        ValueError: that cell is text in its column, and holds digits alone.
    """
    place = columns.index("rate") + 1
    following = columns[place] if place < len(columns) else ""
    if following in ("category", "note") and re.fullmatch(r"[0-9]+", cells[following]):
        raise ValueError(
            f"rate must be a number such as 0.0455, with a point; {following} holds digits alone"
        )


def _rate(given: Mapping[str, str], zone: str, *, is_old: bool) -> Rate:
    # Outside ASCII, letters of other alphabets turn into those of codes.
    cells = {name: text if text.isascii() else _NO_CODE for name, text in given.items()}
    cells["note"], cells["channel"] = given["note"], given["channel"]
    market, country = _place(cells)
    kind = cells["message_type"].lower() or ("" if is_old else ANY)
    if kind != ANY and kind not in MESSAGE_TYPES:
        known = f"message_type must be one of {', '.join(sorted(MESSAGE_TYPES))}, or *"
        raise ValueError(f"{known}{_hint(kind, MESSAGE_TYPES, CATEGORIES, 'category')}")
    if not re.fullmatch(r"[A-Za-z]{3}", cells["currency"]):
        raise ValueError("currency must be three letters (ISO 4217)")
    category = category_named(cells["category"]) or ANY
    if any(character.isspace() for character in cells["channel"]):
        raise ValueError("channel must be the id of a channel, or *")
    return Rate(
        market,
        country,
        category,
        kind,
        cells["channel"].lower() or ANY,
        _instant(cells["effective_from"], zone),
        cells["currency"].upper(),
        _amount(cells["rate"]),
        _number("from_volume", cells["from_volume"]),
        _number("free_per_month", cells["free_per_month"]),
    )


def category_named(text: str) -> str:
    """Return the name of a category in snake case: ``Authentication-International`` is one."""
    return re.sub(r"[\s-]+", "_", text.strip().lower())


def category_mistake(category: str) -> str:
    """Return what is wrong with the name of a category; empty where it is one."""
    if category in CATEGORIES:
        return ""
    hint = _hint(category, CATEGORIES, MESSAGE_TYPES, "message_type")
    return f"category must be one of {', '.join(CATEGORIES)}, or *{hint}"


def _place(cells: Mapping[str, str]) -> tuple[str, str]:
    """Return the market and the country of a line, one of them ``*`` at least."""
    market, country = cells["market"], cells["country"].upper()
    if market and market != ANY and country and country != ANY:
        raise ValueError("names both a market and a country; leave one empty")
    if market == ANY or (not market and country == ANY):
        return ANY, ANY
    if market:
        if found := market_named(market):
            return found, ANY
        if is_country(market.upper()):
            return ANY, market.upper()
        hint = nearest_market(market)
        raise ValueError(
            "market must be one of the price list's (warehouse/settings/markets.csv), a country "
            f"such as SA (ISO 3166-1), or *{hint}"
        )
    if not is_country(country):
        hint = "; did you mean GB?" if country == "UK" else ""
        raise ValueError(f"country must be two letters such as SA (ISO 3166-1), or *{hint}")
    return ANY, country


def _hint(name: str, right: Iterable[str], others: Collection[str], column: str) -> str:
    """Return what to write instead: in another column, or another word."""
    if name in others:
        return f"; {name} is a {column}, which has a column of its own"
    near = get_close_matches(name, list(right), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _check(rate: Rate) -> None:
    """See that a line can match a message.

    Raises:
        ValueError: it cannot.
    """
    if rate.category != ANY and (mistake := category_mistake(rate.category)):
        raise ValueError(mistake)
    if rate.category == SERVICE and rate.message_type == "template":
        raise ValueError(
            "can match nothing: no template is of category service; leave message_type empty"
        )
    if rate.category in TEMPLATE_CATEGORIES and rate.message_type not in (ANY, "template"):
        raise ValueError(
            f"can match nothing: only templates are of category {rate.category}; leave "
            "message_type empty"
        )


def _compare(rates: list[Rate]) -> None:
    """See that no two lines say different things of the same messages.

    Raises:
        ValueError: two do; the later line is named.
    """
    seen: dict[tuple[object, ...], Rate] = {}
    first: dict[tuple[object, ...], Rate] = {}
    for rate in rates:
        selected = (rate.selects, rate.effective_from)
        with on_line(rate.line):
            other = seen.setdefault((*selected, rate.from_volume), rate)
            if other is not rate:
                raise ValueError(
                    "another line has the same market or country, category, message_type, "
                    f"channel, effective_from and from_volume, line {other.line}; keep one"
                )
            other = first.setdefault(selected, rate)
            if other.currency != rate.currency:
                raise ValueError(
                    f"is a tier of line {other.line} in another currency; tiers share one"
                )
            if other.free_per_month != rate.free_per_month:
                raise ValueError(
                    f"is a tier of line {other.line} with another free_per_month; tiers share one"
                )


def is_country(code: str) -> bool:
    """Whether a phone number can be of that country: core.contacts.country comes from there."""
    from phonenumbers import SUPPORTED_REGIONS  # the lake loads it, too; alone it takes 0.1 s

    return code in SUPPORTED_REGIONS


def _number(column: str, text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"0|[1-9][0-9]{0,11}", text) or int(text) >= _MOST_MESSAGES:
        raise ValueError(f"{column} must be a whole number of messages such as 1000, not negative")
    return int(text)


def _instant(text: str, zone: str) -> datetime:
    if re.fullmatch(r"[0-9-]*", text):
        return datetime.combine(_effective(text), time(), ZoneInfo(zone)).astimezone(UTC)
    if not _WITH_OFFSET.fullmatch(text):
        raise ValueError(_INSTANT)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_INSTANT) from None
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
