"""How wire values are read: every form that is sure is typed, anything else is NULL."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from warehouse.lake import functions
from warehouse.models import model


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(model.macros())
        yield connection


def _read(connection: duckdb.DuckDBPyConnection, macro: str, text: str) -> str | None:
    """The value as text. From a table, so that DuckDB reads it row by row as it does elsewhere."""
    row = connection.execute(
        f"SELECT {macro}(t)::VARCHAR FROM (SELECT unnest([?::VARCHAR, NULL]) AS t)", [text]
    ).fetchone()
    assert row is not None
    value = row[0]
    assert value is None or isinstance(value, str)
    return value


_TEN = "2026-11-20 10:00:00+00"
_SEVEN = "2026-11-20 07:00:00+00"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-20T10:00:00", _SEVEN),
        ("2026-11-20T10:00:00.0000000", _SEVEN),
        ("2026-11-20T10:00:00z", _TEN),
        ("2026-11-20t10:00:00Z", _TEN),
        ("2026-11-20T10:00Z", _TEN),
        ("2026-11-20T10:00", _SEVEN),
        ("2026-11-20 10:00:00 UTC", _TEN),
        ("2026-11-20 10:00:00 GMT", _TEN),
        ("2026-11-20T10:00:00+03", _SEVEN),
        ("2026-11-20T10:00:00+0300", _SEVEN),
        ("2026-11-20 10:00:00 +03:00", _SEVEN),
        ("2026-11-20T10:00:00-00:00", _TEN),
        ("2026-11-20T23:59:60Z", "2026-11-21 00:00:00+00"),
        ("2026-11-20", "2026-11-19 21:00:00+00"),
        ("1969-12-31T20:00:00Z", "1969-12-31 20:00:00+00"),
        *(
            (text, None)
            for text in (
                *("", " ", "soon", "infinity", "epoch", "1763632800", "1763632800000"),
                *("2026-02-30T00:00:00", "2026-11-20T25:00:00Z", "2026-11-20 10:00:00 UTC+3"),
                *("2026-11-20 10:00:00 Europe/Berlin", "2026-11-20T10:00:00+99:99", "20261120"),
                *("9999-12-31T23:59:59.9999999", "0001-01-01T00:00:00", "294247-01-01T00:00:00Z"),
            )
        ),
    ],
)
def test_an_instant(connection: duckdb.DuckDBPyConnection, text: str, value: str | None) -> None:
    assert _read(connection, "instant", text) == value


def test_a_webhooks_instant_without_zone_is_utc_and_an_offset_in_hours_is_believed(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert _read(connection, "webhook_instant", "2026-11-20T10:00:00") == _TEN
    assert _read(connection, "webhook_instant", "2026-11-20T10:00:00+03") == _SEVEN
    assert _read(connection, "webhook_instant", "20:26:11") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1990-05-01", "1990-05-01"),
        ("1990-05-01T22:00:00Z", "1990-05-02"),
        ("1990-05-01T22:00:00", "1990-05-01"),
        ("1890-01-01T00:00:00", "1890-01-01"),
        ("25/12/1990", "1990-12-25"),
        ("12/25/1990", "1990-12-25"),
        ("05/05/1990", "1990-05-05"),
        ("25.12.1990", "1990-12-25"),
        *(
            (text, None)
            for text in (
                *("01/05/1990", "1763632800000", "1763632800", "0000-01-01", "31/02/1990", ""),
                *("99/99/1999", "infinity", "25/12/90"),
            )
        ),
    ],
)
def test_a_date(connection: duckdb.DuckDBPyConnection, text: str, value: str | None) -> None:
    assert _read(connection, "local_day", text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, "150.0") for text in ("00:02:30", "02:30", "PT2M30S", "150", " 00:02:30 ")),
        ("1234:30", "74070.0"),
        ("٠٠:٠٢:٣٠", "150.0"),
        ("100:00:00", "360000.0"),
        ("1.02:03:04.5", "93784.5"),
        ("-00:00:01", "-1.0"),
        ("P1DT1H", "90000.0"),
        *((text, None) for text in ("", "P", "PT", "12 KB", "1e400", "soon", "1:2", "::")),
    ],
)
def test_a_duration(connection: duckdb.DuckDBPyConnection, text: str, value: str | None) -> None:
    assert _read(connection, "timespan_seconds", text) == value


@pytest.mark.parametrize(
    ("macro", "text", "value"),
    [
        ("number", "9223372036854775808", "9.223372036854776e+18"),
        ("number", "٣.٥", "3.5"),
        *(("number", text, None) for text in ("1e400", "nan", "inf", "x", "true", "")),
        ("whole_number", "131047.0", "131047"),
        *(("whole_number", text, None) for text in ("1.5", "18446744073709551616", "x")),
        ("flag", "TRUE", "true"),
        ("flag", "0", "false"),
        *(("flag", text, None) for text in ("2", "yes", "")),
        *(
            ("identifier", text, "3a1f")
            for text in ("3A1F", " 3A1F", "3a1f ", "\t3A1F\n", "\u00a03a1f\u00a0", "3a1f\r\n")
        ),
        *(
            ("identifier", text, None)
            for text in (
                *("", " ", "a\0b", "00000000-0000-0000-0000-000000000000"),
                " 00000000-0000-0000-0000-000000000000\t",
            )
        ),
        ("phone_e164", "9200", None),
    ],
)
def test_other_values(
    connection: duckdb.DuckDBPyConnection, macro: str, text: str, value: str | None
) -> None:
    if macro == "phone_e164":
        functions.register(connection)
    assert _read(connection, macro, text) == value


def test_a_number_too_large_for_an_integer_is_written_out(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    row = connection.execute(
        "SELECT list(plain_number(n)) FROM (SELECT unnest([5, 2.5, 9223372036854775808::DOUBLE]) n)"
    ).fetchone()
    assert row == (["5", "2.5", "9.223372036854776e+18"],)
