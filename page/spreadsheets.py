"""Rows as CSV and XLSX for spreadsheets, in which no text can act as a formula.

A text that begins as a formula does (``=``, ``+``, ``-``, ``@``, a tab or a line break, behind
blanks too) gets an apostrophe in CSV. In XLSX every text is written as text, and such ones carry
the mark "text" of their own, so that they stay text when the sheet is saved as something else.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter

from page.rows import local

#: Where a text would be taken for a formula; full-width signs too.
_FORMULA = re.compile(r"^[\s\x00\ufeff]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
#: What neither XML nor a reader of a sheet takes: controls, halves of pairs, directions that
#: would turn the text around them.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
#: Characters of a cell of Excel.
_CELL = 32_767


def write_csv(
    file: Path, labels: Sequence[str], rows: Iterable[Sequence[Any]], timezone: str
) -> None:
    """Write rows as CSV: UTF-8 with its mark, by which spreadsheets know it."""
    with file.open("w", encoding="utf-8-sig", newline="", errors="replace") as out:
        writer = csv.writer(out)
        writer.writerow([_defused(label) for label in labels])
        for row in rows:
            writer.writerow([_csv_value(value, timezone) for value in row])


def write_xlsx(
    file: Path,
    labels: Sequence[str],
    rows: Iterable[Sequence[Any]],
    timezone: str,
    *,
    right_to_left: bool,
) -> None:
    """Write rows as a sheet; memory does not grow with their number."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(file), options) as book:
        sheet = book.add_worksheet()
        formats = {
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
            str: book.add_format({"num_format": "@", "quote_prefix": True}),
        }
        bold = book.add_format({"bold": True})
        if right_to_left:
            sheet.right_to_left()
        sheet.freeze_panes(1, 0)
        for column, label in enumerate(labels):
            sheet.write_string(0, column, label, bold)
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                _write_cell(sheet, number, column, value, formats, timezone)


def _write_cell(
    sheet: Any, row: int, column: int, value: Any, formats: dict[type, Any], timezone: str
) -> None:
    if value is None:
        return
    kind = date if type(value) is date else type(value)
    value = local(value, timezone)
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float | Decimal):
        sheet.write_number(row, column, value)
    elif isinstance(value, datetime) and value.year >= 1900:
        sheet.write_datetime(row, column, value, formats[kind])
    else:
        text = _clean(_text(value))[:_CELL]
        is_formula = _FORMULA.match(text) is not None
        sheet.write_string(row, column, text, formats[str] if is_formula else None)


def _csv_value(value: Any, timezone: str) -> Any:
    if value is None or isinstance(value, bool | int | float | Decimal):
        return "" if value is None else value
    if isinstance(value, datetime):
        return local(value, timezone).isoformat(sep=" ", timespec="seconds")
    return value.isoformat() if isinstance(value, date) else _defused(_text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _clean(text: str) -> str:
    return _DIRECTIONS.sub("", _CONTROLS.sub("\ufffd", text))


def _defused(text: str) -> str:
    text = _clean(text)
    return f"'{text}" if _FORMULA.match(text) else text
