"""docs/contract.md names every command and every table, by itself or by a page it links."""

from __future__ import annotations

import re

import pytest

from hatif.webhooks.reasons import Reason
from pipelines.cli import main
from tests.pipelines.conftest import ROOT
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

CONTRACT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
PAGES = [
    CONTRACT,
    *(
        (ROOT / "docs" / page).read_text(encoding="utf-8")
        for page in ("commands.md", "reference.md")
    ),
]
_ROW = re.compile(r"^\| `((?:raw|ops)\.[a-z_]+)` \|[^|]*\| ([a-z_, ]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every table and view of a new lake, with its columns."""
    found: dict[str, set[str]] = {}
    settings = Settings.load(home=tmp_path_factory.mktemp("contract") / "home")
    with open_lake(settings) as lake, lake.reading() as connection:
        for table, column in connection.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE database_name = 'wh'"
        ).fetchall():
            found.setdefault(table, set()).add(column)
    return found


def test_every_table_of_the_lake_is_documented(lake: dict[str, set[str]]) -> None:
    assert len(lake) > 30
    pages = "\n".join(PAGES)
    undocumented = [t for t in lake if f"`{t}`" not in pages and f"\n### {t}\n" not in pages]
    assert undocumented == [], "add a row to docs/contract.md"


def test_promised_columns_of_raw_and_ops_exist(lake: dict[str, set[str]]) -> None:
    promised = {table: set(names.split(", ")) for table, names in _ROW.findall(CONTRACT)}
    assert len(promised) > 8
    assert {table: names - lake[table] for table, names in promised.items()} == {
        table: set() for table in promised
    }


def test_every_command_is_documented() -> None:
    pages = "\n".join(PAGES)
    commands = list(main.commands)
    assert len(commands) > 8
    assert [name for name in commands if f"\n## hatif {name}\n" not in pages] == []


def test_linked_generated_pages_are_those_checked_here() -> None:
    assert {"commands.md", "reference.md"} <= set(re.findall(r"\]\(([a-z]+\.md)", CONTRACT))


def test_every_reason_for_which_webhooks_are_set_aside_is_documented() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    missing = {reason.value for reason in Reason} - set(re.findall(r"`([a-z_]+)`", rows))
    assert missing == set()
