"""docs/architecture.md names files and functions that exist, and describes every room."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from tests.pipelines.conftest import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_PLACE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+\.(?:py|sql|toml))(?::([A-Za-z_.]+))?`")
_FOLDER = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)`")
_ROOM = re.compile(r"^\| `([a-z_/]+)` \|", re.MULTILINE)


def definitions(path: Path) -> set[str]:
    """Every function, class and method of a module, methods as ``Class.method``."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return found


def test_every_file_and_function_named_exists() -> None:
    places = _PLACE.findall(PAGE)
    assert len(places) > 40
    assert [path for path, _ in places if not (ROOT / path).is_file()] == []
    named = [(path, name) for path, name in places if name]
    assert len(named) > 15
    assert [one for one in named if one[1] not in definitions(ROOT / one[0])] == []


def test_every_folder_named_exists() -> None:
    assert [path for path in _FOLDER.findall(PAGE) if not (ROOT / path).is_dir()] == []


def test_every_room_of_the_import_contracts_is_described() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]
    rooms = {*contracts["root_packages"]}
    for contract in contracts["contracts"]:
        rooms |= {*contract.get("layers", [])}
    assert len(rooms) > 15
    assert rooms - {*_ROOM.findall(PAGE)} == set()


def test_the_search_for_a_wrong_cost_takes_at_most_five_files() -> None:
    section = PAGE.split("## A message shows the wrong cost")[1].split("\n## ")[0]
    files = re.findall(r"`([a-z_/]+\.(?:py|sql))", section.split("A sum that is wrong")[0])
    assert 0 < len(set(files)) <= 5
