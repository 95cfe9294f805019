"""Of several workspaces a command takes the one that is named; without the setting there is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from tests.docs.test_commands_elsewhere import commands
from tests.pipelines.conftest import ROOT, environment


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "SELECT 1"], "name one by --workspace: riyadh, jeddah, dubai"),
        (["rebuild"], "name one by --workspace"),
        (["page", "--output", "x.html"], "name one by --workspace"),
        (["rejects"], "name one by --workspace"),
        (["rejects", "replay"], "name one by --workspace"),
        (
            ["query", "--workspace", "riyad", "SELECT 1"],
            "riyad; the nearest is riyadh",
        ),
        (["query", "--workspace", "riyadh", "--all", "SELECT 1"], "give one of them"),
        (["status", "--workspace", "dubai"], "dubai.timezone: "),
        (["sync", "--workspace", "dubai"], "dubai.timezone: "),
    ],
)
def test_which_workspace_is_meant_is_a_usage_error_that_lists_them(
    run, arguments: list[str], message: str
):
    command, _ = run
    ended = command(*arguments)
    assert (ended.exit_code, message in ended.stderr) == (2, True), ended.output


@pytest.mark.parametrize(
    "arguments", [["query", "--all", "SELECT 1"], ["query", "--workspace", "a", "SELECT 1"]]
)
def test_without_the_setting_there_is_one_workspace(arguments: list[str]):
    ended = CliRunner(env=environment(None)).invoke(main, arguments)
    assert ended.exit_code == 2
    assert "goes with HATIF_WORKSPACES, which is not set" in ended.stderr


def test_a_file_of_one_workspace_needs_no_name(run, tmp_path: Path):
    command, _ = run
    lines = (tmp_path / "all.toml").read_text().partition("[jeddah]")[0]
    (tmp_path / "all.toml").write_text(lines)
    assert "12" in command("query", "SELECT count(*) FROM contacts", "--format", "csv").stdout


def test_the_commands_of_the_page_run_on_its_own_file(run, tmp_path: Path):
    command, _ = run
    page = (ROOT / "docs" / "workspaces.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    written = block.replace("/run/secrets", str(tmp_path)).replace('"jeddah-holidays.csv"', '""')
    (tmp_path / "riyadh").write_text("a-secret")
    (tmp_path / "all.toml").write_text(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEDDAH_SECRET", "x")
        patch.setenv("RIYADH_CHANNEL_SECRET", "x")
        for line in commands("docs/workspaces.md"):
            name, *arguments = shlex.split(line, comments=True)
            # The sync of all has tests of its own, above.
            if name == "hatif" and arguments != ["sync"]:
                done = command(*arguments)
                assert done.exit_code == 0, done.output
