"""Markets of WhatsApp's price list, by calling code (``markets.csv``, with its source and date)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from warehouse.settings.csv_file import Form, parse_date, read_rows

_FILE = Path(__file__).with_name("markets.csv")
_COLUMNS = ("market", "since", "calling_codes")
#: The market of numbers that belong to no other.
OTHER = "Other"


@dataclass(frozen=True, slots=True)
class CallingCode:
    """A beginning of phone numbers, and the market these belong to.

    Attributes:
        code: digits after the plus.
        market: its name on the price list.
        since: the first day of the bill on which it holds; None = always.
    """

    code: str
    market: str
    since: date | None


@cache
def calling_codes() -> tuple[CallingCode, ...]:
    """Return every calling code that the list names."""
    return tuple(
        CallingCode(code, cells["market"], parse_date(cells["since"]) if cells["since"] else None)
        for _, cells in read_rows(_FILE, Form(",".join(_COLUMNS), (_COLUMNS,)))
        for code in cells["calling_codes"].split()
    )


@cache
def _names() -> dict[str, str]:
    """Return the name of every market by its folded name; some by other names in use, too."""
    names = {_folded(one.market): one.market for one in calling_codes()} | {_folded(OTHER): OTHER}
    by_country = {
        "SA": "Saudi Arabia", "AE": "United Arab Emirates", "GB": "United Kingdom", "EG": "Egypt",
        "AR": "Argentina", "BR": "Brazil", "CL": "Chile", "CO": "Colombia", "FR": "France",
        "DE": "Germany", "IN": "India", "ID": "Indonesia", "IL": "Israel", "IT": "Italy",
        "MY": "Malaysia", "MX": "Mexico", "NL": "Netherlands", "NG": "Nigeria", "PK": "Pakistan",
        "PE": "Peru", "RU": "Russia", "ZA": "South Africa", "ES": "Spain", "TR": "Turkey",
    }  # fmt: skip
    also = {
        "turkiye": "Turkey",
        "restofcentralandeasterneurope": "Rest of Central & Eastern Europe",
    }
    return names | {code.lower(): market for code, market in by_country.items()} | also


def market_named(text: str) -> str | None:
    """Return the market that a text names, in any case and spacing, or by its country's code.

    A country that shares its market with others, or that left its group on some day, is none.
    """
    return _names().get(_folded(text))


def market_of(number: str, day: date) -> str:
    """Return the market of a number, digits with the calling code first, on a day of the bill."""
    fitting = [
        (len(one.code), one.since or date.min, one.market)
        for one in calling_codes()
        if number.startswith(one.code) and (one.since is None or one.since <= day)
    ]
    return max(fitting)[2] if fitting else OTHER


def market_of_country(code: str, day: date) -> str | None:
    """Return the market of a country (ISO 3166-1 alpha-2) on a day, None where it is none."""
    import phonenumbers  # a tenth of a second that other settings need not spend

    example = phonenumbers.example_number(code)
    if example is None:
        return None
    return market_of(f"{example.country_code}{example.national_number}", day)


def nearest_market(text: str) -> str:
    """Return what to write in place of a name that is none; empty where nothing is near."""
    if _folded(text) == "uk":
        return "; did you mean GB?"
    near = get_close_matches(_folded(text), _names(), n=1, cutoff=0.75)
    return f"; did you mean {_names()[near[0]]}?" if near else ""


def _folded(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
