"""Malformed CSV files: one line with the variable and the line of the file, and no cell of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.business_hours import parse_holidays, parse_hours
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import parse_rate_card

#: Stands in many cells below: no message may show it.
SECRET = "s3cret"
LONG = "x" * 200_000
COLUMNS = ("country", "message_type", "effective_from", "currency", "rate")
RATE = "SA,template,2026-01-01,USD,0.05"

#: Rows by what the message says; alone in a file, without a heading.
RATES = {
    "line 1: needs country,message_type,effective_from,currency,rate[,category]; has": [
        *("s3cret", "SA,template,2026-01-01,USD", f"{RATE},marketing,s3cret", "SA,template,0,05"),
        "SA,template,2026-01-01,USD,0,05,marketing",
    ],
    "line 1: cells must be separated by commas": [RATE.replace(",", ";"), RATE.replace(",", "\t")],
    "line 1: country must be": [
        *(
            RATE.replace("SA", code)
            for code in ("s3cret", "", "UK", "XX", "966", "السعودية", "+966")
        ),
    ],
    "line 1: message_type must be one of": [
        *(RATE.replace("template", kind) for kind in ("", "s3cret", "Templte", "utility", "text*")),
    ],
    "line 1: effective_from must be a date between 1900-01-01 and 2199-12-31": [
        *(
            RATE.replace("2026-01-01", day)
            for day in (
                *("0001-01-01", "9999-12-31", "0000-00-00", "10000-01-01", "1899-12-31", "s3cret"),
                *("2200-01-01", "2026-02-30", "2026-13-01", "01/05/2026", "2026-1-1", "20260101"),
                *("", "2026-01-01T00:00", "0001-01-01T00:00+03:00", "9999-12-31T23:59-03:00"),
                *("2026-01-01T25:00+03:00", "2026-01-01 +03:00", "46023", "٢٠٢٦-٠١-٠١"),
            )
        )
    ],
    "line 1: currency must be": [
        *(RATE.replace("USD", code) for code in ("", "s3cret", "$US", "US", "١٢٣"))
    ],
    "line 1: rate must be a number": [
        *(
            RATE.replace("0.05", text)
            for text in (
                *(
                    "",
                    "s3cret",
                    "n/a",
                    "-1",
                    "-0",
                    "NaN",
                    "Infinity",
                    "1e999999999",
                    "9E+999999999",
                ),
                *(
                    "1E-999999999",
                    "0.0000001",
                    "1000000000000",
                    "1_0",
                    "1-1",
                    "0x1",
                    "$0.05",
                    "٠٫٠٥",
                ),
                *("0.05 USD", "5%", '"0,05"', "9" * 50),
            )
        )
    ],
    "line 2: another line has the same": [
        f"{RATE}\n{RATE}",
        f"{RATE}\nsa,Template,2026-01-01,SAR,1",
    ],
    "the file holds no rate": ["", "\n\n", "# only a remark", ",,,,"],
    "line 1: the heading lacks rate": ["country,message_type,effective_from,currency"],
    "line 1: column 6 of the heading is none of": [
        "country,message_type,effective_from,currency,rate,s3cret"
    ],
    "line 1: two columns of the heading are called rate": [
        "country,message_type,effective_from,currency,rate,rate"
    ],
    "line 2: another heading": [
        "\n".join((",".join(COLUMNS), ",".join(("country", *COLUMNS[:0:-1])))),
    ],
}
HOLIDAYS = {
    "line 1: dates must be YYYY-MM-DD": [
        *("soon", "s3cret", "2026-02-30", "2026-13-01", "01/01/2026", "1447-09-01 H", "20260101"),
        *("2026-1-1", "2026-W01-1", "10000-01-01", "0000-01-01", "46023", "2026-01-01T00:00"),
    ],
    "line 1: dates must lie between 1900-01-01 and 2199-12-31": [
        *("0001-01-01", "9999-12-31", "9999-12-31,22:00,02:00,x", "1899-12-31", "2200-01-01"),
    ],
    "the file holds no holiday": ["", "date,from,to,name", "# none", ",,,", "#REF!,#N/A"],
    "line 1: a time that begins at 24:00": ["2026-01-01,24:00,00:00,x", "2026-01-01,24:00,09:00"],
    "line 1: a part of a day needs both times": [
        "2026-01-01,09:00",
        "2026-01-01,2026-01-02",
        "2026-01-01,9",
    ],
    "line 1: times must be HH:MM": [
        *("2026-01-01,09:00,", "2026-01-01,,12:00", "2026-01-01,morning,noon,x", "2026-01-01,9,12"),
        *("2026-01-01,2026-01-02,Eid", "2026-01-01,2026-01-02,2026-01-03,Eid", "2026-01-01,-,-"),
        *("2026-01-01,25:00,26:00", "2026-01-01,09:60,10:00", "2026-01-01,٠٩:٠٠,١٠:٠٠"),
        *("2026-01-01,09:00,s3cret", "2026-01-01,09:00:00,12:00:00", "2026-01-01,9am,12pm"),
    ],
    "line 1: needs date[,from,to][,name]; has": [
        "2026-01-01,09:00,12:00,Eid,s3cret",
        "2026-01-01,09:00,12:00,Eid,,s3cret",
    ],
    "line 1: cells must be separated by commas": ["2026-01-01;Eid", "2026-01-01\tEid", "date;name"],
    "line 1: the heading lacks date": ["from,to,name", "name,s3cret"[:4]],
    "line 1: two columns of the heading are called name": ["date,name,name"],
    "line 1: column 2 of the heading is none of": ["date,s3cret", "date,end", "date,,name"],
    "line 2: needs date[,from,to][,name]; has 1 cells": ["name,date\n2026-01-01"],
}
HOURS = {
    "line 1: needs valid_from,hours; has 1 cells": [
        "2026-01-01",
        "s3cret",
        "2026-01-01 Sun 09:00-10:00",
    ],
    "line 1: cells must be separated by commas": ["2026-01-01;Sun-Thu 09:00-18:00"],
    "line 1: dates must be YYYY-MM-DD": [
        "s3cret,Sun 09:00-10:00",
        "2026-13-01,Sun 09:00-10:00",
        ",Sun 09:00-10:00",
    ],
    "line 1: dates must lie between": ["0001-01-01,Sun 09:00-10:00", "9999-12-31,Sun 09:00-10:00"],
    "line 1: must look like Sun-Thu": [
        *("2026-01-01,;", "2026-01-01,closed", "2026-01-01,-", "2026-01-01,\u200b"),
        *("2026-01-01,s3cret", "2026-01-01,09:00-18:00", "2026-01-01,Sun 09:00-10:00,s3cret"),
    ],
    "line 1: times must be HH:MM": ["2026-01-01,Sun 09:00-24:01"],
    "line 1: the days are": ["2026-01-01,Sux 09:00-10:00"],
    "line 2: another line has the same valid_from": ["2026-01-01,\n2026-01-01,Sun 09:00-10:00"],
    "the file holds no line": ["", "valid_from,hours", "# none"],
    "line 1: the heading lacks hours": ["valid_from"],
    "line 1: two columns of the heading are called hours": ["valid_from,hours,hours"],
}
#: Bytes that no CSV file of ours begins with, by what the message says.
BYTES = {
    "is UTF-16 text; save it as CSV UTF-8": ["s3cret".encode("utf-16")],
    "line 2: is not UTF-8": [b"# remark\n\xff\xfe", b"\n\x80", "# x\nعيد".encode("cp1256")],
    "line 1: is not UTF-8": [b"PK\x03\x04\x14\x00\xff\xfa", b"\x1f\x8b\x08\x00"],
    "line 1: a line break or control character": [
        *(b"2026-01-01,s3\x00cret", b'2026-01-01,"s3\ncret"', b"\x00" * 64, b"\x1b[2J"),
        "s3cret".encode("utf-16-le"),
    ],
    "line 2: a quoted cell does not end where it should": [
        *(b'# x\n2026-01-01,"s3cret', b'# x\n"2026-01-01"s3cret'),
    ],
    "line 1: a cell is longer than 131,072 characters": [LONG.encode(), f'"{LONG}'.encode()],
    "is larger than 4 MiB": [b"# remark\n" * 500_000],
}
CASES = [
    (name, row.encode(), wanted)
    for name, table in (("RATE_CARD", RATES), ("HOLIDAYS", HOLIDAYS), ("BUSINESS_HOURS", HOURS))
    for wanted, rows in table.items()
    for row in rows
] + [
    (name, content, wanted)
    for name in ("RATE_CARD", "HOLIDAYS", "BUSINESS_HOURS")
    for wanted, contents in BYTES.items()
    for content in contents
]


def complaint(monkeypatch: pytest.MonkeyPatch, name: str, path: Path) -> str:
    monkeypatch.setenv(f"HATIF_{name}", str(path))
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    message = str(caught.value)
    assert message.startswith(f"HATIF_{name}: ")
    assert "\n" not in message
    assert SECRET not in message
    return message


@pytest.mark.parametrize(("name", "content", "wanted"), CASES, ids=lambda value: repr(value)[:60])
def test_a_malformed_file_is_one_line_that_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, wanted: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    assert f"HATIF_{name}: {wanted}" in complaint(monkeypatch, name, file)


@pytest.mark.parametrize("name", ["RATE_CARD", "HOLIDAYS", "BUSINESS_HOURS"])
def test_what_is_no_file_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A named pipe that nothing writes to would be waited for without end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert "is no regular file" in complaint(monkeypatch, name, path)
    assert "cannot be read (Is a directory)" in complaint(monkeypatch, name, tmp_path)
    missing = "name a readable" if name == "BUSINESS_HOURS" else "cannot be read (No such file"
    assert missing in complaint(monkeypatch, name, tmp_path / "link")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdate,from,to,name\r\n2026-01-01,,,New Year\r\n",
        b"2026-01-01\n",
        b"2026-01-01,Eid\n",
        b"2026-01-01,,\n",
        b"2026-01-01,,,Eid,,,\n",
        b'"2026-01-01","Eid, first day"\n',
        b'2026-01-01,,,"the ""first"" day"\n',
        b"Name,Date\nEid,2026-01-01\n",
        b"date,name\n2026-01-01,Eid\ndate,name\n",
        b"date,name,,\n2026-01-01,Eid,,\n",
        b'# "an open quote in a remark\n2026-01-01,Eid\n',
        b"2026-01-01,00:00,24:00\n",
        b"2026-01-01\r",
    ],
)
def test_a_whole_holiday_can_be_written_in_many_ways(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "days.csv"
    file.write_bytes(content)
    (holiday,) = parse_holidays(file)
    assert f"{holiday.starts:%F %H:%M}" == "2026-01-01 00:00"
    assert f"{holiday.ends:%F %H:%M}" == "2026-01-02 00:00"


def test_columns_follow_the_heading(tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(
        "rate,currency,category,effective_from,message_type,country\n"
        "1,usd,utility,2026-01-01,*,sa\n"
    )
    (rate,) = parse_rate_card(file, "UTC")
    assert (rate.country, rate.message_type, rate.currency, rate.category) == (
        "SA",
        "*",
        "USD",
        "utility",
    )


def test_hours_may_hold_commas_and_none_is_a_time_without_work(tmp_path: Path) -> None:
    file = tmp_path / "hours.csv"
    file.write_text("valid_from,hours\n2026-01-01,Sun 09:00-10:00,11:00-12:00\n2026-02-01,\n")
    first, second = parse_hours(str(file))
    assert len(first.week[6]) == 2
    assert not any(second.week)
