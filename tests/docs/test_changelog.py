"""CHANGELOG.md is cut into dated versions, and the newest is the version of the code."""

from __future__ import annotations

import re
import tomllib
from datetime import date

from click.testing import CliRunner

import hatif
from pipelines.cli import main
from tests.pipelines.conftest import ROOT

RELEASES = re.findall(
    r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_releases_have_a_version_and_a_date_and_come_newest_first() -> None:
    dated = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)", one) for one in RELEASES]
    assert all(dated), RELEASES
    versions = [tuple(map(int, one.groups()[:3])) for one in dated if one]
    days = [date.fromisoformat(one[4]) for one in dated if one]
    assert len(versions) > 1
    assert versions == sorted(set(versions), reverse=True)
    assert days == sorted(days, reverse=True)


def test_the_newest_release_is_the_version_of_the_code() -> None:
    assert RELEASES[0].split(" - ")[0] == hatif.__version__


def test_the_version_stands_in_one_place() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["hatch"]["version"]["path"] == "hatif/__init__.py"


def test_the_command_line_shows_the_version() -> None:
    shown = CliRunner().invoke(main, ["--version"])
    assert shown.output.split()[-1] == hatif.__version__
