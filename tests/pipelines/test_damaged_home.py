"""A home with lost or damaged files, or one that can only be read: one clear line each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from tests.pipelines.conftest import environment
from warehouse.lake.connection import Lake
from warehouse.reports import files
from warehouse.settings.environment import Settings


@pytest.fixture
def damaged(filled: Settings, tmp_path: Path) -> Settings:
    """A copy of a home whose every table is made."""
    shutil.copytree(filled.home, tmp_path / "home")
    return Settings.load(
        home=tmp_path / "home", client_id="x", client_secret="y", base_url="http://127.0.0.1:9"
    )


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=environment(settings)).invoke(main, arguments)


def one_file(settings: Settings, table: str) -> Path:
    return next((settings.home / "lake" / table).rglob("*.parquet"))


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4:400] = b"\xff" * 396
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _garble])
def test_a_deep_examination_names_each_damaged_file_and_the_way_back(
    damaged: Settings, damage: Callable[[Path], None]
) -> None:
    core, raw = one_file(damaged, "core/messages"), one_file(damaged, "raw/records")
    with Lake(damaged, read_only=True) as lake:
        assert [finding.status for finding in files.compare(lake)] == ["ok"]
    damage(core)
    damage(raw)
    with Lake(damaged, read_only=True) as lake:
        found = files.compare(lake)
    assert [finding.status for finding in found] == ["failed", "failed"]
    assert core.name in found[0].text
    assert found[0].advice.endswith("or run: hatif rebuild")
    assert raw.name in found[1].text
    assert "rebuild" not in found[1].advice


def test_the_command_exits_1_and_goes_on_with_its_other_questions(damaged: Settings) -> None:
    one_file(damaged, "core/messages").unlink()
    ended = run(damaged, "doctor", "--deep", "--no-probe")
    assert ended.exit_code == 1
    assert "core.messages: the lake's file" in ended.stdout
    assert "rate card" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["doctor", "--no-probe"],
        ["query", "SELECT max(length(name)) FROM contacts"],
        ["sync", "--only", "models"],
        ["rejects"],
        ["publish", "copy.duckdb"],
    ],
)
def test_without_the_lakes_folder_every_command_says_so_in_one_line(
    damaged: Settings, arguments: list[str]
) -> None:
    shutil.rmtree(damaged.home / "lake")
    ended = run(damaged, *arguments)
    assert ended.exit_code in (1, 2)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    lines = [line for line in ended.output.splitlines() if "holds none of the files" in line]
    assert len(lines) == 1


def test_a_query_of_a_lost_file_names_it(damaged: Settings) -> None:
    lost = one_file(damaged, "core/contacts")
    lost.unlink()
    ended = run(damaged, "query", "SELECT max(length(name)) FROM contacts")
    assert (ended.exit_code, lost.name in ended.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["status"], ["sync", "--only", "models"]])
def test_commands_that_need_a_lost_file_name_it_in_one_line(
    damaged: Settings, arguments: list[str]
) -> None:
    lost = {
        file.name
        for table in ("ops", "core")
        for file in (damaged.home / "lake" / table).rglob("*.parquet")
    }
    for table in ("ops", "core"):
        shutil.rmtree(damaged.home / "lake" / table)
    ended = run(damaged, *arguments)
    assert ended.exit_code in (1, 2)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert any(name in ended.output for name in lost)


# Settings of a reader who may write nothing: in a process of its own, without its rights.
def _as_nobody(settings: Settings, work: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        status = 99
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _shown(ended: Result) -> int:
    """Return the exit status of a command in the child, whose output shows if the test fails."""
    os.write(2, ended.output.encode())
    return ended.exit_code


@pytest.fixture
def readable(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Path]]:
    """A home that everyone may read, and a folder that everyone may write to.

    Not in pytest's folder: each session that starts makes that private again.
    """
    with tempfile.TemporaryDirectory(prefix="hatif-readable-") as folder:
        place, out = Path(folder), Path(folder) / "out"
        shutil.copytree(filled.home, place / "home")
        for path in place.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        place.chmod(0o755)
        out.mkdir()
        out.chmod(0o777)
        monkeypatch.chdir(out)
        yield Settings.load(home=place / "home", client_id="x", client_secret="y"), out
        monkeypatch.undo()
        for path in [place / "home", *(place / "home").rglob("*")]:
            path.chmod(0o755)


def test_who_may_only_read_reads_everything(readable: tuple[Settings, Path]) -> None:
    home, out = readable
    for arguments in (["status"], ["query", "SELECT max(length(name)) FROM contacts"], ["rejects"]):
        run(home, *arguments)  # everything is imported before rights are given up

        def work(arguments: list[str] = arguments) -> int:
            return _shown(run(home, *arguments))

        assert _as_nobody(home, work) == 0, arguments
    assert _as_nobody(home, lambda: _shown(run(home, "publish", str(out / "x")))) == 0
    assert (out / "x").stat().st_size > 0
