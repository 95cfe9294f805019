"""Invoice files as they come: what is sure is read, a wrong line is named and the others go on."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from warehouse.settings.invoices import InvoiceLine, InvoiceMapping, read_invoice, read_mapping

_HEADING = "month,channel,market,category,quantity,amount,currency"
_GOOD = "2026-10,,SA,service,2,0.02,USD"
_RIYADH = "Asia/Riyadh"


def _read(tmp_path: Path, content: str | bytes) -> tuple[list[InvoiceLine], list[str]]:
    file = tmp_path / "bill.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_invoice(file, read_mapping(tmp_path), _RIYADH)


def _one(tmp_path: Path, line: str) -> InvoiceLine:
    [found], refused = _read(tmp_path, f"{_HEADING}\n{line}\n")
    assert refused == []
    return found


@pytest.mark.parametrize(
    "text",
    [
        *("2026-10", "2026/10", "10/2026", "10-2026", "202610", "2026-10-31", "٢٠٢٦-١٠"),
        *("١٠/٢٠٢٦", "October 2026", "OCT 2026", "2026 October", "Oct-2026", '"October, 2026"'),
        *("أكتوبر 2026", "اكتوبر ٢٠٢٦", "تشرين الأول 2026", "\u200f2026-10\u200e", " 2026-10 "),
        *("2026-10-31T23:59:59+03:00", "2026-09-30T22:00:00Z", "1790805600", "2026-10-05 12:00"),
    ],
)
def test_a_month_is_read_where_it_is_sure(tmp_path: Path, text: str) -> None:
    assert _one(tmp_path, f"{text},,SA,service,2,0.02,USD").month == date(2026, 10, 1)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.02", "0.02"), ("٠٫٠٢", "0.02"), ('"1,234.5"', "1234.5"), ('"١٬٢٣٤٫٥"', "1234.5"),
        ("1 234.50", "1234.5"), ("1\u00a0234.50", "1234.5"), ("-3.5", "-3.5"), ("(3.50)", "-3.5"),
        ("3.50-", "-3.5"), ("\u22123.5", "-3.5"), ("4.55E-05", "0.000046"), ("+1", "1"), ("0", "0"),
    ],
)  # fmt: skip
def test_an_amount_is_read_where_it_is_sure(tmp_path: Path, text: str, amount: str) -> None:
    assert _one(tmp_path, f"2026-10,,SA,service,2,{text},USD").amount == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("", None), ("2", 2), ("2.0", 2), ('"1,234"', 1234), ("١٢", 12), ("1 234", 1234),
        ("-2", -2), ("(2)", -2), ("2-", -2), ('"1,234,567"', 1_234_567), ("1000.0000", 1000),
    ],
)  # fmt: skip
def test_a_quantity_is_read_where_it_is_sure(
    tmp_path: Path, text: str, quantity: int | None
) -> None:
    assert _one(tmp_path, f"2026-10,,SA,service,{text},1,USD").quantity == quantity


#: A line that is wrong, and what is reported of it.
WRONG = {
    "2026-13,,SA,service,2,1,USD": "month must be like 2026-01",
    "0/2026,,SA,service,2,1,USD": "month must be like",
    "01/10/2026,,SA,service,2,1,USD": "month must be like",
    "Oct-26,,SA,service,2,1,USD": "month must be like",
    "10/26,,SA,service,2,1,USD": "month must be like",
    "Octember 2026,,SA,service,2,1,USD": "month must be like",
    "1448-04,,SA,service,2,1,USD": "month must be like",
    ",,SA,service,2,1,USD": "month must be like",
    "9999-12-31T23:59:59-14:00,,SA,service,2,1,USD": "month must be like",
    "0001-01-01T00:00:00+14:00,,SA,service,2,1,USD": "month must be like",
    "1790805600000,,SA,service,2,1,USD": "month must be like",
    "=NOW(),,SA,service,2,1,USD": "month must be like",
    "2026-10,,SA,service,two,1,USD": "quantity must be a whole number",
    "2026-10,,SA,service,1.5,1,USD": "quantity must be a whole number",
    "2026-10,,SA,service,1.000,1,USD": "quantity must be a whole number",
    "2026-10,,SA,service,1e3,1,USD": "quantity must be a whole number",
    "2026-10,,SA,service,9999999999999,1,USD": "quantity must be a whole number",
    '2026-10,,SA,service,"12,34",1,USD': "quantity must be a whole number",
    '2026-10,,SA,service,2,"12,50",USD': "amount must be a number",
    '2026-10,,SA,service,2,"1.234,50",USD': "amount must be a number",
    "2026-10,,SA,service,2,$12.50,USD": "amount must be a number",
    "2026-10,,SA,service,2,12.50 SAR,SAR": "amount must be a number",
    "2026-10,,SA,service,2,﷼12,SAR": "amount must be a number",
    "2026-10,,SA,service,2,,USD": "amount must be a number",
    "2026-10,,SA,service,2,-,USD": "amount must be a number",
    "2026-10,,SA,service,2,NaN,USD": "amount must be a number",
    "2026-10,,SA,service,2,1e400,USD": "amount must be a number",
    "2026-10,,SA,service,2,1000000000000,USD": "amount must be a number",
    "2026-10,,SA,service,2,=1+1,USD": "amount must be a number",
    "2026-10,,SA,service,2,1,US$": "currency must be three letters",
    "2026-10,,SA,service,2,1,": "currency must be three letters",
    "2026-10,,SA,service,2,1,ريال": "currency must be three letters",
    "2026-10,,SA,service,2,1": "needs month,channel,market",
    "2026-10,,SA,service,2,1,USD,more": "needs month,channel,market",
    "2026-10;;SA;service;2;1;USD": "cells must be separated by commas",
    "2026-10,,SA,ser\x00vice,2,1,USD": "control character in a cell",
    "2026-10,,SA,service,2,1,USD\x1b[31m": "control character in a cell",
    '2026-10,,SA,"ser"vice,2,1,USD': "a quoted cell does not end where it should",
    f'2026-10,,SA,"{"x" * 200_000}",2,1,USD': "a cell is longer than",
    "month,amount,currency": "another heading",
}


@pytest.mark.parametrize("line", WRONG, ids=lambda line: line[:60].replace("\x00", "NUL"))
def test_a_wrong_line_is_named_and_the_others_go_on(tmp_path: Path, line: str) -> None:
    lines, refused = _read(tmp_path, f"{_HEADING}\n{_GOOD}\n{line}\n{_GOOD}\n{_GOOD}\n")
    assert [one.line for one in lines] == [2, 4, 5]
    assert len(refused) == 1
    assert refused[0].startswith("line 3: ")
    assert WRONG[line] in refused[0]
    assert len(refused[0]) < 200


def test_a_quote_that_is_never_closed_costs_its_line_alone(tmp_path: Path) -> None:
    lines, refused = _read(tmp_path, f'{_HEADING}\n2026-10,,"SA,service,2,1,USD\n{_GOOD}\n{_GOOD}')
    assert [one.line for one in lines] == [3, 4]
    assert [one[:8] for one in refused] == ["line 2: "]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "the file holds no line"),
        (_HEADING.encode(), "the file holds no line"),
        (f"{_HEADING}\n{_GOOD}".encode("utf-16"), "is UTF-16 text; save it as CSV UTF-8"),
        (f"{_HEADING}\n{_GOOD}\nأكتوبر".encode("cp1256"), "line 3: is not UTF-8"),
        (f"{_HEADING}\n{_GOOD}".replace(",", ";").encode(), "cells must be separated by commas"),
        (f"{_HEADING}\n{_GOOD}".replace(",", "\t").encode(), "cells must be separated by commas"),
        (b"month,amount\n2026-10,1", "line 1: the heading lacks currency"),
        (b"month,amount,currency,Amount\n2026-10,1,USD,1", "two columns of the heading"),
        (b"Invoice of October\nmonth,amount,currency\n2026-10,1,USD", "first line of column names"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8"),
        (b"PK\x03\x04zip", "line 1: a line break or control character"),
    ],
    ids=range(11),
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, wanted: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wanted)):
        _read(tmp_path, content)


def test_a_mark_at_the_beginning_remarks_and_padding_are_read_over(tmp_path: Path) -> None:
    text = f'\ufeff# made by "hand\n{_HEADING.upper()},,\r\n\r\n{_GOOD},,\r\n'
    [line], refused = _read(tmp_path, text)
    assert (line.line, line.amount, refused) == (4, Decimal("0.02"), [])


def test_lines_alike_are_lines_each(tmp_path: Path) -> None:
    lines, _ = _read(tmp_path, f"{_HEADING}\n{_GOOD}\n{_GOOD}\n")
    assert [one.line for one in lines] == [2, 3]


def test_the_export_of_pricing_analytics_is_known_and_its_wrong_lines_named(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text('\ufeff[defaults]\ncurrency = "USD"\n')
    lines, refused = _read(
        tmp_path,
        "\ufeffstart,end,phone_number,country,pricing_type,pricing_category,volume,cost\n"
        "1790805600,1793484000,9200,SA,REGULAR,MARKETING,3,0.135\n"
        "1790805600,1793484000,9200,SA,FREE_CUSTOMER_SERVICE,SERVICE,5,0\n"
        "1790805600,1793484000,9200,SA,REGULAR,UTILITY,x,0.1\n"
        "1790805600,1793484000,9200,XX,REGULAR,UTILITY,1,-0.1\n",
    )
    assert [(one.market, one.category, one.quantity) for one in lines] == [
        ("Saudi Arabia", "marketing", 3),
        ("Saudi Arabia", "service", 5),
        ("XX", "utility", 1),
    ]
    assert refused == ["line 4: quantity must be a whole number of messages"]
    assert lines[0].more == {"end": "1793484000", "pricing_type": "REGULAR"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[columns]\nmonht = 'x'", "'monht' is none of month"),
        ("[columns]\nmonth = 3", "columns must be a table of texts"),
        ("columns = 'month'", "columns must be a table of texts"),
        ("[defaults]\nrate = 'x'", "'rate' is none of month"),
        ("[colums]\nmonth = 'x'", "'colums' is none of columns, defaults"),
        ("[columns]\nmonth = 'Total'\namount = 'total '", "month and amount have one header"),
        ("[columns]\nmonth = 'amount'", "month and amount have one header"),
        ("[columns\n", "cannot be read as TOML"),
        ("x = " + "[" * 100_000, "cannot be read as TOML"),
        ("[columns]\nmonth = 'a'\nmonth = 'b'", "cannot be read as TOML"),
    ],
)
def test_a_wrong_mapping_says_why(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "mapping.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(wanted)):
        read_mapping(tmp_path)


def test_a_mapping_that_is_no_text_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_bytes("[columns]".encode("utf-16"))
    with pytest.raises(ValueError, match="cannot be read as TOML"):
        read_mapping(tmp_path)
    (tmp_path / "mapping.toml").unlink()
    assert read_mapping(tmp_path) == InvoiceMapping()
    (tmp_path / "mapping.toml").mkdir()
    with pytest.raises(ValueError, match="is no regular file"):
        read_mapping(tmp_path)


def test_a_right_line_after_very_many_wrong_ones_counts(tmp_path: Path) -> None:
    wrong = '2026-10,,SA,service,2,"0.02"x,USD\n' * 20_000
    [found], refused = _read(tmp_path, f"{_HEADING}\n{wrong}{_GOOD}\n")
    assert found.amount == Decimal("0.02")
    assert len(refused) == 20_000
    assert refused[-1].startswith("line 20001:")
