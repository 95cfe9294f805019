"""The location of a reject names its file as it is named now, or says that it is gone."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from tests.pipelines.conftest import environment
from tests.warehouse.webhooks.conftest import Home, line

_BAD = b"{broken\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "home" / "webhooks")


def listed(home: Home, *arguments: str) -> str:
    done = CliRunner(env=environment(None, HATIF_HOME=str(home.settings.home))).invoke(
        main, ["rejects", "list", *arguments]
    )
    assert done.exit_code == 0, done.output
    return done.stdout


def places(home: Home) -> list[str]:
    """The location of each open reject, "gone" where its file is gone."""
    found = json.loads(listed(home, "--json"))
    return sorted("gone" if one["is_file_gone"] else one["location"] for one in found)


def into_folder(path: Path) -> str:
    target = path.parent / "2026" / "done" / path.name
    target.parent.mkdir(parents=True)
    path.rename(target)
    return f"2026/done/{path.name}:2"


def rotated(path: Path) -> str:
    path.rename(path.with_name(f"{path.name}.1"))
    path.write_bytes(line(3) + b"\n")
    return f"{path.name}.1:2"


def renamed(path: Path) -> str:
    path.rename(path.with_name("ملف.ndjson"))
    return "ملف.ndjson:2"


def copied(path: Path) -> str:
    target = path.with_name("z-copy.ndjson")
    shutil.copyfile(path, target)
    path.unlink()
    return "z-copy.ndjson:2"


def packed(path: Path) -> str:
    path.with_name("z.ndjson.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return "z.ndjson.gz:2"


@pytest.mark.parametrize("move", [into_folder, rotated, renamed, copied, packed])
def test_a_file_that_was_moved_is_named_where_it_is_now(
    home: Home, move: Callable[[Path], str]
) -> None:
    path = home.write("open-a.ndjson", line(1) + b"\n" + _BAD + line(2) + b"\n")
    home.ingest()
    assert places(home) == ["open-a.ndjson:2"]
    expected = move(path)
    home.ingest()
    assert places(home) == [expected]
    assert [row["location"] for row in home.rejects()] == [expected]


@pytest.mark.parametrize("move", [into_folder, renamed])
def test_before_the_next_reading_it_is_found_by_its_identity(
    home: Home, move: Callable[[Path], str]
) -> None:
    path = home.write("a.ndjson", line(1) + b"\n" + _BAD)
    home.ingest()
    expected = move(path)
    assert places(home) == [expected]
    assert expected in listed(home)


def test_a_file_that_is_gone_is_said_to_be(home: Home) -> None:
    path = home.write("a.ndjson", line(1) + b"\n" + _BAD)
    home.write("b.ndjson", b"{another\n")
    home.ingest()
    path.unlink()
    assert places(home) == ["b.ndjson:1", "gone"]
    assert "a.ndjson:2 (the file is gone)" in " ".join(listed(home).split())
    home.ingest()
    assert "b.ndjson:1 (" not in listed(home)


def test_a_name_given_on_in_turn_leaves_each_reject_with_its_own_file(home: Home) -> None:
    first = home.write("a.ndjson", line(1) + b"\n" + _BAD)
    home.ingest()
    first.rename(first.with_name("a.ndjson.1"))
    second = home.write("a.ndjson", b"{second\n")
    home.ingest()
    assert places(home) == ["a.ndjson.1:2", "a.ndjson:1"]
    first.with_name("a.ndjson.1").rename(first.with_name("a.ndjson.2"))
    second.rename(second.with_name("a.ndjson.1"))
    home.write("a.ndjson", line(3) + b"\n")
    home.ingest()
    assert places(home) == ["a.ndjson.1:1", "a.ndjson.2:2"]


def test_a_moved_file_that_was_put_right_closes_its_reject(home: Home) -> None:
    path = home.write("a.ndjson", line(1) + b"\n" + _BAD)
    home.ingest()
    path = path.rename(path.with_name("b.ndjson"))
    home.ingest()
    path.write_bytes(line(1) + b"\n" + line(2) + b"\n")
    home.ingest()
    assert places(home) == []
