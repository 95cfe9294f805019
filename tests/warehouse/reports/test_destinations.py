"""No result is ever written over a file of the warehouse, by whatever name it is reached."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from hatif.errors import Busy
from pipelines.cli import main
from warehouse.errors import OutputRefused
from warehouse.lake import locks
from warehouse.lake.schema import open_lake
from warehouse.reports.destinations import replacing, require_foreign
from warehouse.reports.publish import publish
from warehouse.settings.environment import Settings


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home that no test changes."""
    settings = Settings.load(home=tmp_path_factory.mktemp("used") / "home")
    rows = "SELECT 'c' || range AS contact_id FROM range(50)"
    sql = f"INSERT INTO core.contacts BY NAME {rows}"
    with open_lake(settings) as lake:
        lake.write("fill", lambda connection: connection.execute(sql))
    (settings.home / "webhooks").mkdir()
    (settings.home / "webhooks" / "day.ndjson").touch()
    return settings


OURS: dict[str, Callable[[Path], Path]] = {
    "the catalog": lambda home: home / "catalog.sqlite",
    "its log": lambda home: home / "catalog.sqlite-wal",
    "its shared memory": lambda home: home / "catalog.sqlite-shm",
    "a lock": lambda home: home / "write.lock",
    "a lock not there yet": lambda home: home / "api.lock",
    "the request journal": lambda home: home / "requests.ring",
    "the service's pause": lambda home: home / "retry_after.json",
    "a file among DuckDB's temporary ones": lambda home: home / "tmp" / "copy.duckdb",
    "the lake": lambda home: home / "lake",
    "a file in the lake": lambda home: home / "lake" / "core" / "new.parquet",
    "its marker": lambda home: home / "lake" / ".hatif-catalog",
    "the home": lambda home: home,
    "the folder of the home": lambda home: home.parent,
    "a webhook file": lambda home: home / "webhooks" / "day.ndjson",
    "a new file among the webhooks": lambda home: home / "webhooks" / "deep" / "rows.csv",
    "other letters": lambda home: home / "Catalog.SQLite",
    "a way round": lambda home: home / "lake" / ".." / "catalog.sqlite",
    "the settings file": lambda _: Path(".env"),
}


@pytest.mark.parametrize("which", OURS)
def test_what_is_ours_is_refused(used: Settings, which: str) -> None:
    with pytest.raises(OutputRefused, match="the warehouse's own"):
        require_foreign(used, OURS[which](used.home))


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("which", ["catalog.sqlite", "lake file", "webhooks/day.ndjson"])
def test_links_to_what_is_ours_are_refused(
    used: Settings, tmp_path: Path, link: Callable[[Path, Path], None], which: str
) -> None:
    target = used.home / which
    if which == "lake file":
        target = next((used.home / "lake").rglob("*.parquet"))
    link(target, tmp_path / "rows.csv")
    with pytest.raises(OutputRefused):
        require_foreign(used, tmp_path / "rows.csv")


def test_a_linked_folder_that_leads_into_the_lake_is_refused(
    used: Settings, tmp_path: Path
) -> None:
    (tmp_path / "way").symlink_to(used.home / "lake")
    for name in ("way", "way/rows.csv"):
        with pytest.raises(OutputRefused):
            require_foreign(used, tmp_path / name)


def test_a_link_of_ours_that_leads_to_itself_is_refused_like_a_file(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path)
    (tmp_path / "catalog.sqlite").symlink_to("catalog.sqlite")
    with pytest.raises(OutputRefused):
        require_foreign(settings, tmp_path / "catalog.sqlite")
    require_foreign(settings, tmp_path / "copy.duckdb")


@pytest.mark.parametrize("name", ["hatif.duckdb", "rows.csv", "reports/rows.csv", "lake.csv"])
def test_other_files_may_lie_in_the_home_too(used: Settings, name: str) -> None:
    require_foreign(used, used.home / name)


INPUTS = {
    "HATIF_RATE_CARD": ("rates.csv", "SA,*,2026-01-01,USD,1\n"),
    "HATIF_HOLIDAYS": ("days.csv", "2026-01-01\n"),
    "HATIF_BUSINESS_HOURS": ("hours.csv", "2026-01-01,Sun 09:00-10:00\n"),
    "HATIF_TEMPLATES": ("templates.csv", "template,category,text\nhi,marketing,Hello\n"),
    "HATIF_MESSAGE_CATEGORIES": ("sent.csv", "message_id,category\nwamid.1,marketing\n"),
}
WAYS: dict[str, Callable[[Path], Path]] = {
    "by its name": lambda file: file,
    "a way round": lambda file: file.parent / ".." / "given" / file.name,
    "other letters": lambda file: file.with_name(file.name.upper()),
    "the folder it is in": lambda file: file.parent,
    "a symbolic link": lambda file: _linked(os.symlink, file),
    "a hard link": lambda file: _linked(os.link, file),
}


def _linked(link: Callable[[Path, Path], None], file: Path) -> Path:
    link(file, file.with_name("link.csv"))
    return file.with_name("link.csv")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", INPUTS)
def test_a_file_that_a_setting_names_is_refused(
    used: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("given").mkdir()
    Path("reports").mkdir()
    file = tmp_path / "given" / INPUTS[name][0]
    file.write_text(INPUTS[name][1])
    monkeypatch.setenv(name, f"given/{file.name}")
    settings = Settings.load(home=used.home)
    with pytest.raises(OutputRefused, match=f"which {name} names. Choose another name"):
        require_foreign(settings, WAYS[way](file))
    require_foreign(settings, tmp_path / "reports" / file.name)


def test_a_setting_that_is_a_link_protects_what_it_leads_to(used: Settings, tmp_path: Path) -> None:
    days = tmp_path / "days.csv"
    days.write_text("2026-01-01\n")
    link = _linked(os.symlink, days)
    for target in (days, link):
        with pytest.raises(OutputRefused, match="which HATIF_HOLIDAYS names"):
            require_foreign(Settings.load(home=used.home, holidays=link), target)


@pytest.mark.parametrize("name", ["", "october.csv", "new.csv", "deep/new.csv", "../October"])
def test_what_is_in_a_folder_that_a_setting_names_is_refused(
    used: Settings, tmp_path: Path, name: str
) -> None:
    (tmp_path / "october").mkdir()
    (tmp_path / "october" / "october.csv").write_text("month,amount,currency\n2026-10,1,USD\n")
    settings = Settings.load(home=used.home, invoices=tmp_path / "october")
    with pytest.raises(OutputRefused, match="which HATIF_INVOICES names"):
        require_foreign(settings, tmp_path / "october" / name)


@pytest.mark.parametrize("place", ["dagster.yaml", "history", "history/runs.db", "storage/new.csv"])
@pytest.mark.parametrize("is_set", [True, False])
def test_what_dagster_keeps_is_refused(
    used: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_set: bool, place: str
) -> None:
    """Where DAGSTER_HOME is not set, make ui has it in the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ("instance" if is_set else ".dagster")
    if is_set:
        monkeypatch.setenv("DAGSTER_HOME", str(home))
    home.mkdir()
    with pytest.raises(OutputRefused, match="which is Dagster's"):
        require_foreign(used, home / place)
    require_foreign(used, home / "reports.csv")


def test_a_trap_beside_the_file_does_not_lead_to_the_catalog(
    used: Settings, tmp_path: Path
) -> None:
    before = (used.home / "catalog.sqlite").read_bytes()
    (tmp_path / ".rows.csv.unfinished").symlink_to(used.home / "catalog.sqlite")
    with replacing(tmp_path / "rows.csv") as unfinished:
        unfinished.write_text("rows")
    assert (used.home / "catalog.sqlite").read_bytes() == before
    assert (tmp_path / "rows.csv").read_text() == "rows"


COMMANDS = (
    ("query", "SELECT 1", "--format", "csv", "--output"),
    ("publish",),
    ("publish", "--parquet"),
)


@pytest.mark.parametrize("command", COMMANDS[:2], ids=" ".join)
def test_no_command_writes_over_a_file_of_the_settings(
    used: Settings, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATIF_HOME", str(used.home))
    for name, (file, content) in INPUTS.items():
        Path(file).write_text(content)
        Path(".env").write_text(f"{name}={file}\n")
        found = CliRunner().invoke(main, [*command, file])
        assert (found.exit_code, f"which {name} names" in found.output) == (2, True), found.output
        assert Path(file).read_text() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".env",
        *sorted(file for file, _ in INPUTS.values()),
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_writes_over_what_is_ours(
    used: Settings, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATIF_HOME", str(used.home))
    catalog, link = used.home / "catalog.sqlite", tmp_path / "link.csv"
    link.symlink_to(catalog)
    before = catalog.read_bytes()
    inside = used.home / "lake" / "core" / "new.csv"
    for target in (inside,) if "--parquet" in command else (catalog, link, inside):
        found = CliRunner().invoke(main, [*command, str(target)])
        assert found.exit_code != 0
        assert "the warehouse's own. Choose another name" in found.output
    assert (catalog.read_bytes(), link.is_symlink()) == (before, True)
    assert [path.name for path in tmp_path.iterdir()] == ["link.csv"]


def test_a_rebuild_that_begins_while_the_lake_is_opened_stops_a_copy(
    used: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders = iter([None, "rebuild (hatif, process 1)"])
    monkeypatch.setattr(locks, "holder", lambda _: next(holders))
    with pytest.raises(Busy, match="publish again when it has ended"):
        publish(used, tmp_path / "copy.duckdb", None)
    assert list(tmp_path.iterdir()) == []
