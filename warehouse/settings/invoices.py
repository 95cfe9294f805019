"""Invoices: CSV files of a folder, their lines with months, markets, categories and amounts.

``month,channel,market,category,quantity,amount,currency``; month, amount and currency are needed,
other columns are kept. A ``mapping.toml`` beside the files names other headers::

    [columns]
    month = "Billing period"
    amount = "Total"
    [defaults]
    currency = "USD"

Meta's pricing analytics export is known by its headers (``invoice_mappings``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from warehouse.settings.csv_file import Form, first_row, on_line, parse_date, read_table
from warehouse.settings.markets import market_named, market_of_country
from warehouse.settings.rate_card import category_named

COLUMNS = ("month", "channel", "market", "category", "quantity", "amount", "currency")
_NEEDED = ("month", "amount", "currency")
MAPPING = "mapping.toml"
_PRESETS = Path(__file__).with_name("invoice_mappings")
_MOST = Decimal(10) ** 12
_YEAR_FIRST = re.compile(r"([0-9]{4})[-/. ]?([0-9]{1,2})")
_MONTH_FIRST = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{4})")
_NAMED = re.compile(
    r"([^\W\d]+(?: [^\W\d]+)?)[-/., ]+([0-9]{4})|([0-9]{4})[-/., ]+([^\W\d]+(?: [^\W\d]+)?)"
)
_EPOCH = re.compile(r"[0-9]{9,10}")
#: Digits and signs of Arabic keyboards as those of a plain one; marks of direction are none.
_PLAIN = str.maketrans(
    "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫٬−\u00a0\u202f",
    "01234567890123456789.,-  ",
    "\u200e\u200f\u061c\u202a\u202b\u202c",
)
_MONTH_NAMES = tuple(
    names.split(",")
    for names in (
        "january,jan,يناير,كانون الثاني",
        "february,feb,فبراير,شباط",
        "march,mar,مارس,آذار,اذار",
        "april,apr,أبريل,ابريل,إبريل,نيسان",
        "may,مايو,أيار,ايار",
        "june,jun,يونيو,يونيه,حزيران",
        "july,jul,يوليو,يوليه,تموز",
        "august,aug,أغسطس,اغسطس,آب,اب",
        "september,sep,sept,سبتمبر,أيلول,ايلول",
        "october,oct,أكتوبر,اكتوبر,تشرين الأول,تشرين الاول",
        "november,nov,نوفمبر,تشرين الثاني",
        "december,dec,ديسمبر,كانون الأول,كانون الاول",
    )
)
_WHICH_MONTH = "month must be like 2026-01, 01/2026 or January 2026, or a day or instant of it"


@dataclass(frozen=True, slots=True)
class InvoiceMapping:
    """Which headers stand for our columns.

    Attributes:
        columns: header by column; a column that is left out has its own name.
        defaults: values of columns that a file does not have.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def header(self, column: str) -> str:
        """Return a column's header, in lower case."""
        return self.columns.get(column, column).strip().lower()

    @property
    def needed(self) -> list[str]:
        """The headers that a file must have."""
        return [self.header(one) for one in _NEEDED if one not in self.defaults]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of an invoice.

    Attributes:
        line: of the file.
        month: its first day.
        channel: as written, empty where the line names none.
        market: of WhatsApp's price list; else as written.
        category: in snake case.
        quantity: messages, None where the line has none.
        amount: in currency, rounded to six decimals.
        currency: ISO 4217.
        more: other columns.
    """

    line: int
    month: date
    channel: str
    market: str
    category: str
    quantity: int | None
    amount: Decimal
    currency: str
    more: Mapping[str, str]


def read_mapping(folder: Path) -> InvoiceMapping:
    """Read the mapping of a folder; the standard one where it has none.

    Raises:
        ValueError: a sentence that names the mistake.
    """
    path = folder / MAPPING
    if path.exists() and not path.is_file():
        raise ValueError("is no regular file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _mapping(tomllib.loads(text))
    except FileNotFoundError:
        return InvoiceMapping()
    except (OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"cannot be read as TOML ({type(error).__name__})") from None


@cache
def _presets() -> tuple[InvoiceMapping, ...]:
    """Return the mappings that are known by their headers."""
    files = sorted(_PRESETS.glob("*.toml"))
    return tuple(_mapping(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files)


def _mapping(given: Mapping[str, Any]) -> InvoiceMapping:
    columns = given.get("columns", {key: one for key, one in given.items() if key in COLUMNS})
    defaults = given.get("defaults", {})
    for name, table in (("columns", columns), ("defaults", defaults)):
        if not isinstance(table, dict) or not all(isinstance(one, str) for one in table.values()):
            raise ValueError(f"{name} must be a table of texts")
        if wrong := sorted(set(table) - set(COLUMNS)):
            raise ValueError(f"{name}: {wrong[0]!r} is none of {', '.join(COLUMNS)}")
    headers = [str(columns.get(one, one)).strip().lower() for one in COLUMNS]
    if twice := [one for one in COLUMNS if headers.count(headers[COLUMNS.index(one)]) > 1]:
        raise ValueError(f"columns: {' and '.join(twice)} have one header")
    if unknown := sorted(set(given) - {"columns", "defaults", *COLUMNS}):
        raise ValueError(f"{unknown[0]!r} is none of columns, defaults")
    return InvoiceMapping(columns, defaults)


def read_invoice(
    path: Path, mapping: InvoiceMapping, zone: str
) -> tuple[list[InvoiceLine], list[str]]:
    """Read the lines of a file.

    Args:
        path: of the CSV.
        mapping: of its folder.
        zone: of the bill; instants are of a month there.

    Returns:
        The lines, and the mistakes of those that are none, with their numbers.

    Raises:
        ValueError: a sentence that names the mistake; no line of the file counts.
    """
    mapping = _fitting(path, mapping)
    lines: list[InvoiceLine] = []
    refused: list[str] = []
    for line, columns, cells in read_table(path, _form(mapping), refused):
        row = dict(zip(columns, cells, strict=True))
        try:
            with on_line(line):
                lines.append(_line(line, row, mapping, zone))
        except ValueError as error:
            refused.append(str(error))
    if not lines:
        raise ValueError(refused[0] if refused else "the file holds no line")
    return lines, refused


def _form(mapping: InvoiceMapping) -> Form:
    return Form(
        ",".join(mapping.header(column) for column in COLUMNS),
        (),
        needed=tuple((header,) for header in mapping.needed),
        optional=tuple(mapping.header(one) for one in COLUMNS if one not in _NEEDED),
        is_open=True,
        most_bytes=64 * 1024 * 1024,
        is_multiline=True,
    )


def _fitting(path: Path, mapping: InvoiceMapping) -> InvoiceMapping:
    """Return the folder's mapping or, where its headers are not there, one that fits."""
    names = {cell.lower() for cell in first_row(path, _form(mapping))}
    for one in (mapping, InvoiceMapping(), *_presets()):
        defaults = {**one.defaults, **mapping.defaults}
        candidate = InvoiceMapping(one.columns, defaults)
        if set(candidate.needed) <= names:
            return candidate
    return mapping


def _line(line: int, row: Mapping[str, str], mapping: InvoiceMapping, zone: str) -> InvoiceLine:
    def cell(column: str) -> str:
        return row.get(mapping.header(column), "") or mapping.defaults.get(column, "")

    def plain(column: str) -> str:
        return cell(column).translate(_PLAIN).strip()

    month = _month(plain("month"), zone)
    currency = cell("currency").upper()
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError("currency must be three letters (ISO 4217)")
    known = {mapping.header(column) for column in COLUMNS}
    return InvoiceLine(
        line=line,
        month=month,
        channel=cell("channel"),
        market=_market(cell("market"), month),
        category=category_named(cell("category")),
        quantity=_quantity(plain("quantity")),
        amount=_amount(plain("amount")),
        currency=currency,
        more={name: text for name, text in row.items() if name not in known and text},
    )


def _month(text: str, zone: str) -> date:
    """Return the first day of a month: ``2026-01``, a day, an instant, or its epoch seconds."""
    if found := _YEAR_FIRST.fullmatch(text):
        return _first_of(found[1], found[2])
    if found := _MONTH_FIRST.fullmatch(text):
        return _first_of(found[2], found[1])
    if found := _NAMED.fullmatch(text):
        name = (found[1] or found[4]).lower()
        numbers = [number for number, names in enumerate(_MONTH_NAMES, 1) if name in names]
        if numbers:
            return _first_of(found[2] or found[3], str(numbers[0]))
    try:
        if _EPOCH.fullmatch(text):
            moment = datetime.fromtimestamp(int(text), UTC)
        else:
            moment = datetime.fromisoformat(text)
        local = moment.astimezone(ZoneInfo(zone)) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError(_WHICH_MONTH) from None
    return _first_of(f"{local.year:04}", str(local.month))


def _first_of(year: str, month: str) -> date:
    try:
        return parse_date(f"{year}-{int(month):02}-01")
    except ValueError:
        raise ValueError(_WHICH_MONTH) from None


def _market(text: str, month: date) -> str:
    """Return the market that a name or a country's code means; else the text."""
    country = text.upper() if re.fullmatch(r"[A-Za-z]{2}", text) else ""
    return market_named(text) or (country and market_of_country(country, month)) or text


def _quantity(text: str) -> int | None:
    if not text:
        return None
    plain = _without_groups(_signed(text))
    # 1.000 is a thousand in some countries, and one in others.
    if not re.fullmatch(r"-?[0-9]{1,12}(\.0{1,2}|\.0{4,})?", plain):
        raise ValueError("quantity must be a whole number of messages")
    return int(plain.split(".")[0])


def _signed(text: str) -> str:
    """Return a number with its minus in front: bookkeepers write ``(12.50)`` and ``12.50-``."""
    if found := re.fullmatch(r"\((.+)\)|([^-]+)-", text):
        return f"-{(found[1] or found[2]).strip()}"
    return text


def _without_groups(text: str) -> str:
    """Return a number without the commas or spaces between its thousands."""
    if re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", text):
        return text.replace(",", "")
    if re.fullmatch(r"-?[0-9]{1,3}( [0-9]{3})+(\.[0-9]*)?", text):
        return text.replace(" ", "")
    return text


def _amount(text: str) -> Decimal:
    plain = _without_groups(_signed(text))
    try:
        found = Decimal(plain) if re.fullmatch(r"[-+0-9.eE]{1,40}", plain) else Decimal("NaN")
        if not found.is_finite() or abs(found) >= _MOST:
            raise ValueError("amount must be a number such as 12.50, with a point")
        return found.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    except InvalidOperation:
        raise ValueError("amount must be a number such as 12.50, with a point") from None


def invoice_files(folder: Path) -> Iterator[Path]:
    """Yield the CSV files of a folder, by name."""
    yield from sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file()
    )
