"""A view is a file and its words; both languages say the same; the shell of the page."""

from __future__ import annotations

import re
from pathlib import Path

from page.app import STATIC
from page.statements import RELATIONS
from page.view import find
from page.words import LANGUAGES, catalogue, needed
from tests.page.conftest import Visitor
from tests.pipelines.conftest import ROOT


def test_a_new_view_is_one_file_and_its_words(tiny: Visitor) -> None:
    assert 'data-views="tiny now ' in tiny.get("/").text
    assert tiny.json("/data/view/tiny", period="year")["parts"][0]["rows"][0][0] > 0
    assert tiny.json("/words/ar.json")["tiny.title"] == "Tiny in ar"
    assert tiny.get("/export/tiny/all.csv").text.splitlines()[0] == "\ufeffMessages"


def test_every_word_of_every_view_is_there_in_both_languages() -> None:
    for language in LANGUAGES:
        assert needed(find().values()) - set(catalogue(language)) == set(), language


def test_both_languages_have_the_same_words_with_the_same_blanks() -> None:
    # Definitions are translated where a view cites them: `needed` lists those.
    english, arabic = (
        {name: text for name, text in catalogue(language).items() if name[:8] != "metrics."}
        for language in ("en", "ar")
    )
    assert set(english) == set(arabic)
    blanks = re.compile(r"\{[a-z_]+\}")
    for name, text in english.items():
        assert set(blanks.findall(text)) == set(blanks.findall(arabic[name])), name


def test_every_word_that_the_scripts_name_is_there() -> None:
    known = set(catalogue("en"))
    named = set()
    for file in STATIC.glob("*.js"):
        if "min" not in file.name:
            named |= set(re.findall(r'(?:word|notice)\("([a-z_.0-9]+)"', file.read_text("utf-8")))
    assert len(named) > 30
    assert named - known == set()


def test_every_arabic_word_is_arabic() -> None:
    arabic = re.compile("[\u0600-\u06ff]")
    names = {name for name, text in catalogue("ar").items() if not arabic.search(text)}
    assert names <= {"top.digits", "dialog.sql", "period.shown", "unknown.nothing"}


def test_statements_name_only_relations_and_columns_that_are_there() -> None:
    placeholder = re.compile(r"\{([a-z_]+)\}")
    known = {*RELATIONS, "bucket", "buckets", "response_seconds", "first_response_seconds"}
    for view in find().values():
        for part in view.parts:
            names = {column.name for column in part.columns}
            assert set(placeholder.findall(part.sql)) <= known
            assert {part.x, part.y, part.per, *part.series} - {""} <= names
            assert set(part.drill.keys if part.drill else ()) <= names


def test_the_page_is_in_the_language_of_its_address_or_its_reader(visitor: Visitor) -> None:
    assert '<html lang="ar" dir="rtl">' in visitor.get("/?lang=ar").text
    assert '<html lang="en" dir="ltr">' in visitor.get("/").text
    arabic = {"accept-language": "ar-SA,en;q=0.5"}
    assert '<html lang="ar" dir="rtl">' in visitor.get("/", headers=arabic).text
    assert '<html lang="en"' in visitor.get("/?lang=en", headers=arabic).text


def test_scripts_set_text_never_markup() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|"
        r'setAttribute\("(?:style|on)|https?://(?!\$)'
    )
    files = [file for file in STATIC.glob("*.js") if "min" not in file.name]
    assert len(files) > 5
    for file in files:
        assert forbidden.findall(file.read_text("utf-8").replace("/^https?:\\/\\//", "")) == []


def test_what_others_wrote_keeps_its_licence_and_notice() -> None:
    assert "Apache License" in (STATIC / "echarts.LICENSE").read_text("utf-8")
    assert "Apache ECharts" in (STATIC / "echarts.NOTICE").read_text("utf-8")
    assert (STATIC / "echarts.min.js").stat().st_size < 1_500_000


def test_files_are_small_enough_to_read() -> None:
    files: list[Path] = [*(ROOT / "page").rglob("*.py"), *STATIC.glob("*.js")]
    long = [f.name for f in files if "min" not in f.name and len(f.read_text().splitlines()) > 360]
    assert long == []
