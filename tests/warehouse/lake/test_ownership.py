"""One lake belongs to one catalog, wherever both are and whoever looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hatif.errors import HomeError
from warehouse.errors import NoWarehouse
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.lake.marker import MARKER
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

ROWS = 50


def settings_of(home: Path, **more: object) -> Settings:
    return Settings.load(home=home, **more)


def fill(settings: Settings, rows: int = ROWS) -> None:
    with open_lake(settings) as lake:
        lake.write(
            "fill",
            lambda connection: connection.execute(
                "INSERT INTO core.contacts BY NAME "
                f"SELECT 'c' || range AS contact_id, 'name' AS name FROM range({rows})"
            ),
        )


def counted(settings: Settings) -> object:
    """How many rows are read from the files, not from the catalog's statistics."""
    with Lake(settings, read_only=True) as lake, lake.reading() as connection:
        return connection.execute("SELECT sum(length(name)) / 4 FROM core.contacts").fetchone()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled home; each test takes a copy."""
    home = tmp_path_factory.mktemp("made") / "home"
    fill(settings_of(home))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def test_a_second_home_is_refused_the_lake_of_the_first(home: Path, tmp_path: Path) -> None:
    other = settings_of(tmp_path / "other", lake=str(home / "lake"))
    with pytest.raises(HomeError, match="set HATIF_LAKE"), open_lake(other):
        pass
    assert not (tmp_path / "other" / "catalog.sqlite").exists()
    assert counted(settings_of(home)) == (ROWS,)


def test_a_home_with_a_lake_of_its_own_is_refused_anothers(home: Path, tmp_path: Path) -> None:
    fill(settings_of(tmp_path / "other"))
    astray = settings_of(tmp_path / "other", lake=str(home / "lake"))
    for read_only in (False, True):
        with pytest.raises(HomeError, match="belongs to another catalog"):
            Lake(astray, read_only=read_only)


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("lose", [Path.unlink, lambda file: os.truncate(file, 0)])
def test_a_lost_catalog_is_not_begun_anew_over_a_full_lake(
    home: Path, lose: Callable[[Path], None], marked: bool
) -> None:
    lose(home / "catalog.sqlite")
    if not marked:  # as an older version left it
        (home / "lake" / MARKER).unlink()
    with (
        pytest.raises(HomeError, match="missing or empty, but the lake"),
        open_lake(settings_of(home)),
    ):
        pass
    with pytest.raises(HomeError, match="restore"):
        Lake(settings_of(home), read_only=True)


def test_a_lake_that_is_gone_is_one_clear_error(home: Path) -> None:
    shutil.rmtree(home / "lake")
    for read_only in (True, False):
        with pytest.raises(HomeError, match="holds none of the files"):
            Lake(settings_of(home), read_only=read_only)
    assert not (home / "lake").exists()


def test_a_home_of_an_older_version_gets_its_marker_and_goes_on(home: Path) -> None:
    (home / "lake" / MARKER).unlink()
    assert counted(settings_of(home)) == (ROWS,)
    assert not (home / "lake" / MARKER).exists()
    fill(settings_of(home))
    assert (home / "lake" / MARKER).exists()
    assert counted(settings_of(home)) == (2 * ROWS,)


def test_an_empty_home_is_still_no_error_of_its_lake(tmp_path: Path) -> None:
    with pytest.raises(NoWarehouse, match="there is no warehouse"):
        Lake(settings_of(tmp_path / "home"), read_only=True)
    (tmp_path / "home" / "lake").mkdir(parents=True)
    fill(settings_of(tmp_path / "home"))


def test_maintenance_removes_orphans_of_ours_and_no_strangers_file(home: Path) -> None:
    settings = settings_of(home)
    lake_folder = home / "lake"
    ours = lake_folder / "core/contacts/ducklake-01a21a6f-cffa-7c7f-973f-4d0c55c10c96.parquet"
    strangers = [
        lake_folder / "ducklake-01a21a6f-cffa-7c7f-973f-4d0c55c10c95.parquet",
        lake_folder / "letters.parquet",
        lake_folder / "core/contacts/mine.parquet",
        lake_folder / "core/contacts/letter.txt",
        lake_folder / "core/strange" / ours.name,
        lake_folder / "core/contacts/copy" / ours.name,
        lake_folder / "copy/core/contacts" / ours.name,
    ]
    partitioned = lake_folder / "raw/records/stream=contacts" / ours.name
    for file in (ours, partitioned, *strangers):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        os.utime(file, (1, 1))
    recent = ours.with_name(ours.name.replace("0c96", "0c97"))
    recent.write_text("x")
    with open_lake(settings) as lake:
        freed = maintain(lake, patience=0)
    assert freed.orphans_removed == 2
    assert [file.exists() for file in (ours, partitioned, recent)] == [False, False, True]
    assert [file for file in strangers if not file.exists()] == []


def test_maintenance_leaves_the_lake_of_a_home_that_lies_below_its_own(tmp_path: Path) -> None:
    outer = settings_of(tmp_path / "outer", lake=str(tmp_path / "lakes"))
    inner = settings_of(tmp_path / "inner", lake=str(tmp_path / "lakes" / "inner"))
    for settings in (outer, inner):
        fill(settings)
    files = list((tmp_path / "lakes" / "inner").rglob("*.parquet"))
    for file in files:
        os.utime(file, (1, 1))
    with open_lake(outer) as lake:
        freed = maintain(lake, patience=0)
    assert files
    assert freed.orphans_removed == 0
    assert [file for file in files if not file.exists()] == []


def test_a_home_made_by_a_relative_path_is_used_from_anywhere_and_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(settings_of(Path("data")))
    assert counted(settings_of(tmp_path / "data")) == (ROWS,)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    fill(settings_of(Path("../data")))
    (tmp_path / "data").rename(tmp_path / "moved")
    fill(settings_of(tmp_path / "moved"))
    assert counted(settings_of(tmp_path / "moved")) == (3 * ROWS,)
    assert not (tmp_path / "elsewhere" / "data").exists()


def test_a_catalog_that_remembers_a_relative_lake_is_used_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the version before made it: DATA_PATH was stored as HATIF_HOME was given."""
    monkeypatch.chdir(tmp_path)
    fill(settings_of(Path("data")))
    with Lake(settings_of(Path("data"))) as lake:
        lake.write(
            "remember",
            lambda c: c.execute(
                "UPDATE __ducklake_metadata_wh.ducklake_metadata SET value = 'data/lake/' "
                "WHERE key = 'data_path'"
            ),
        )
    (tmp_path / "data" / "lake" / MARKER).unlink()
    monkeypatch.chdir("/")
    assert counted(settings_of(tmp_path / "data")) == (ROWS,)
    fill(settings_of(tmp_path / "data"))
    assert counted(settings_of(tmp_path / "data")) == (2 * ROWS,)


def test_a_new_home_is_for_its_user_alone(made: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in (made, *made.iterdir())}
    assert {name: mode for name, mode in modes.items() if mode} == {}


@pytest.fixture
def apart(home: Path, tmp_path: Path) -> Settings:
    """A home whose lake lies elsewhere, as one has that is set by HATIF_LAKE."""
    lake = Path(shutil.move(home / "lake", tmp_path / "lake"))
    fill(settings := settings_of(home, lake=str(lake)), 0)
    return settings


def test_a_copied_home_is_refused_for_writing_while_its_original_uses_the_lake(
    apart: Settings, tmp_path: Path
) -> None:
    copied = shutil.copytree(apart.home, tmp_path / "copied")
    copy = settings_of(copied, lake=apart.lake_path)
    with pytest.raises(HomeError, match=r"is a copy of .* Set HATIF_LAKE"), open_lake(copy):
        pass
    assert counted(copy) == counted(apart) == (ROWS,)
    fill(apart, 0)


def test_a_copied_home_goes_on_once_the_original_is_gone_and_is_the_original_then(
    apart: Settings, tmp_path: Path
) -> None:
    kept = Path(shutil.copytree(apart.home, tmp_path / "kept"))
    moved = settings_of(apart.home.rename(tmp_path / "moved"), lake=apart.lake_path)
    fill(moved, 0)
    with pytest.raises(HomeError, match=r"is a copy of .*moved"):
        Lake(settings_of(kept, lake=apart.lake_path))


@pytest.mark.parametrize("left", ["another warehouse's catalog", "text"])
def test_a_moved_home_goes_on_whatever_else_is_where_it_was(
    apart: Settings, tmp_path: Path, left: str
) -> None:
    moved = settings_of(apart.home.rename(tmp_path / "moved"), lake=apart.lake_path)
    apart.home.mkdir()
    if left == "text":
        (apart.home / "catalog.sqlite").write_text("text")
    else:
        fill(settings_of(tmp_path / "other"), 0)
        shutil.copy(tmp_path / "other" / "catalog.sqlite", apart.home)
    fill(moved, 0)
    assert counted(moved) == (ROWS,)


def test_a_marker_of_an_older_version_is_completed(apart: Settings, tmp_path: Path) -> None:
    marker = Path(apart.lake_path) / MARKER
    marker.write_text(marker.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    fill(apart, 0)
    copied = shutil.copytree(apart.home, tmp_path / "copied")
    with pytest.raises(HomeError, match="is a copy of"):
        Lake(settings_of(copied, lake=apart.lake_path))


@pytest.mark.parametrize("damaged", ["[]", "{", '{"catalog": 1}'])
def test_a_marker_with_places_that_cannot_be_read_is_written_anew(
    apart: Settings, damaged: str
) -> None:
    marker = Path(apart.lake_path) / MARKER
    whole = marker.read_text(encoding="utf-8")
    marker.write_text(f"{whole.splitlines()[0]}\n{damaged}\n", encoding="utf-8")
    fill(apart, 0)
    assert marker.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize("content", [b"", b"\n", b" \n{}\n"])
def test_a_marker_whose_content_was_lost_is_written_anew(home: Path, content: bytes) -> None:
    marker = home / "lake" / MARKER
    before = marker.read_bytes()
    marker.write_bytes(content)
    assert counted(settings_of(home)) == (ROWS,)
    assert marker.read_bytes() == content
    fill(settings_of(home), 1)
    assert marker.read_bytes().splitlines()[0] == before.splitlines()[0]


def test_an_empty_marker_lets_no_other_home_in(home: Path, tmp_path: Path) -> None:
    (home / "lake" / MARKER).write_bytes(b"")
    other = settings_of(tmp_path / "other", lake=str(home / "lake"))
    with pytest.raises(HomeError), open_lake(other):
        pass


@pytest.mark.parametrize(
    ("name", "words"),
    [("catalog.sqlite", "is no regular file"), (f"lake/{MARKER}", "is no regular file")],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    home: Path, name: str, words: str, read_only: bool
) -> None:
    (home / name).unlink()
    os.mkfifo(home / name)
    with pytest.raises(HomeError, match=words), Lake(settings_of(home), read_only=read_only):
        pass


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path.name)])
def test_a_marker_that_cannot_be_read_is_named(home: Path, make: Callable[[Path], None]) -> None:
    marker = home / "lake" / MARKER
    marker.unlink()
    make(marker)
    with pytest.raises(HomeError, match=f"cannot read .*{MARKER}"), open_lake(settings_of(home)):
        pass
