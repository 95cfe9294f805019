"""Phone numbers as SQL functions, by Google's numbering plan data (phonenumbers)."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import duckdb
import phonenumbers
from duckdb.func import FunctionNullHandling
from duckdb.sqltypes import VARCHAR

#: Where numbers without a country code are from.
_HOME_REGION = "SA"


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``phone_e164(text)`` and ``phone_country(text)`` known to a connection."""
    for name, function in (("phone_e164", e164), ("phone_country", country)):
        # Otherwise a result of None fails the whole statement.
        connection.create_function(
            name, function, [VARCHAR], VARCHAR, null_handling=FunctionNullHandling.SPECIAL
        )


@cache
def version() -> str:
    """Return what distinguishes their results: their code, and the numbering plans."""
    return f"{Path(__file__).read_text(encoding='utf-8')}{phonenumbers.__version__}"


def e164(number: str | None) -> str | None:
    """Return the number as ``+`` and digits, None where it cannot be one."""
    parsed = _parse(number)
    if parsed is None:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def country(number: str | None) -> str | None:
    """Return the ISO 3166-1 alpha-2 country of the number, None where it has none."""
    parsed = _parse(number)
    if parsed is None:
        return None
    region = phonenumbers.region_code_for_number(
        parsed
    ) or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return region if region and region not in ("ZZ", "001") else None


#: Both functions see the same values, DuckDB's 2,048 of a vector at a time one after the other.
@lru_cache(maxsize=4096)
def _parse(number: str | None) -> phonenumbers.PhoneNumber | None:
    if number is None:
        return None
    try:
        parsed = phonenumbers.parse(number, _HOME_REGION)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None
