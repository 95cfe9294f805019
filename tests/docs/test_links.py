"""The repository stands on its own: every link and every document named is in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.pipelines.conftest import ROOT

ROOMS = ("hatif", "rehearsal", "warehouse", "sync", "assets", "pipelines", "benchmarks")
FILES = [
    path
    for top in (*ROOMS, "docs", "tests", "*.md", "*.toml")
    for found in ROOT.glob(top)
    for path in (found.rglob("*") if found.is_dir() else [found])
    if path.is_file() and "__pycache__" not in path.parts
]
PAGES = [path for path in FILES if path.suffix == ".md"]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_DOCUMENT = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.md)\b")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(page: Path) -> list[str]:
    """Links of a page to other places of the repository, outside blocks of code."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [first or second for first, second in _LINK.findall(text)]
    return [link for link in found if "://" not in link]


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert sum(len(links(page)) for page in PAGES) > 50
    assert broken == []


def test_code_names_only_documents_of_the_repository() -> None:
    names = {path.name for path in PAGES}
    strangers = [
        f"{path.relative_to(ROOT)}: {document}"
        for path in FILES
        if path.suffix in {".py", ".sql", ".toml", ".yaml"}
        for document in _DOCUMENT.findall(path.read_text(encoding="utf-8"))
        if Path(document).name not in names
    ]
    assert strangers == []
