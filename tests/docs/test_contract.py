"""docs/contract.md names every command and every table, by itself or by a page it links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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


PROMISED = tomllib.loads(
    Path(__file__).with_name("promised_columns.toml").read_text(encoding="utf-8")
)
#: Instants whose names do not show it.
_INSTANTS = {"waiting_since", "valid_from", "valid_to", "rate_effective_from"}
_TYPES = {
    "cost": "DECIMAL(18,6)",
    "custom_fields": "JSON",
    "date": "DATE",
    "error_code": "BIGINT",
    "payload": "JSON",
    "select_options": "JSON",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Every table and view of a new lake, with its columns and their types."""
    found: dict[str, dict[str, str]] = {}
    settings = Settings.load(home=tmp_path_factory.mktemp("contract") / "home")
    with open_lake(settings) as lake, lake.reading() as connection:
        for table, column, kind in connection.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type "
            "FROM duckdb_columns() WHERE database_name = 'wh'"
        ).fetchall():
            found.setdefault(table, {})[column] = kind
    return found


def test_every_table_of_the_lake_is_documented(lake: dict[str, dict[str, str]]) -> None:
    assert len(lake) > 30
    pages = "\n".join(PAGES)
    undocumented = [t for t in lake if f"`{t}`" not in pages and f"\n### {t}\n" not in pages]
    assert undocumented == [], "add a row to docs/contract.md"


def test_every_column_that_is_promised_exists(lake: dict[str, dict[str, str]]) -> None:
    missing = {
        f"{table}.{name}"
        for table, names in PROMISED.items()
        for name in names
        if name not in lake.get(table, {})
    }
    assert len(PROMISED) == 37
    assert missing == set()


def test_promised_columns_have_the_types_that_are_promised(lake: dict[str, dict[str, str]]) -> None:
    wrong = {
        f"{table}.{name}": lake[table][name]
        for table, names in PROMISED.items()
        for name in names
        if lake[table][name] != expected_type(name, lake[table][name])
    }
    assert wrong == {}


def expected_type(name: str, found: str) -> str:
    """The type that a column of this name has wherever it stands."""
    if name.endswith("_at") or name in _INSTANTS:
        return "TIMESTAMP WITH TIME ZONE"
    if name.endswith(("_id", "_key")):
        return "VARCHAR"
    return _TYPES.get(name, found)


def test_the_page_names_the_columns_of_raw_and_ops(lake: dict[str, dict[str, str]]) -> None:
    named = {table: set(names.split(", ")) for table, names in _ROW.findall(CONTRACT)}
    assert len(named) > 8
    assert {table: names - lake[table].keys() for table, names in named.items()} == {
        table: set() for table in named
    }
    promised = {table: set(PROMISED[table]) for table in named if table in PROMISED}
    assert {table: names - named[table] for table, names in promised.items()} == {
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
