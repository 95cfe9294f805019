"""A sync in a folder with the UI's own home shows in it unasked, and no other sync does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli_sync import dagster_home_here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with the home that ``make ui`` makes."""
    (tmp_path / ".dagster").mkdir()
    (tmp_path / ".dagster" / "dagster.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_home_that_make_ui_made_here_is_found(here: Path) -> None:
    assert dagster_home_here() == str(here / ".dagster")


@pytest.mark.parametrize(
    ("name", "value"), [("HATIF_HOME", "/elsewhere"), ("DAGSTER_HOME", ""), ("DAGSTER_HOME", "/d")]
)
def test_another_home_or_a_word_of_the_users_keeps_a_sync_out_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert (here / ".dagster").is_dir()
    assert dagster_home_here() is None


def test_a_folder_without_one_has_none(here: Path) -> None:
    (here / ".dagster" / "dagster.yaml").unlink()
    assert dagster_home_here() is None
