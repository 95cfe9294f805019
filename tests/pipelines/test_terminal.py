"""What customers write is shown, and never obeyed by a terminal."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.terminal import PrintableOutput, own_command, printable, runnable
from tests.pipelines.conftest import HATIF, Synced, environment


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x7f\x00", "a\\x0db\\x7f\\x00"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("مرحبا\u200f\tيا\n", "مرحبا\u200f\tيا\n"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_file_is_written_byte_for_byte_and_a_terminal_is_not_steered() -> None:
    file, terminal = io.StringIO(), _Terminal()
    for stream in (file, terminal):
        PrintableOutput(stream).write("\x1b[2J")
    assert (file.getvalue(), terminal.getvalue()) == ("\x1b[2J", "\\x1b[2J")


def test_duckdbs_words_do_not_carry_a_value_to_the_terminal_raw(synced: Synced) -> None:
    runner = CliRunner(env=environment(synced.settings))
    ended = runner.invoke(main, ["query", "SELECT (chr(27) || ']0;x' || chr(7))::INT"])
    assert ended.exit_code == 2
    assert "\\x1b]0;x\\x07" in ended.stderr
    assert "\x1b" not in ended.output


def test_a_command_in_a_message_is_one_that_the_shell_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "run: hatif sync --full; the hatif home; `hatif rejects`, /opt/hatif sync"
    with click.Context(main):
        monkeypatch.setenv("PATH", f"{HATIF.parent}:/usr/bin")
        assert runnable(text) == text
        another = tmp_path / "hatif"
        another.write_text("#!/bin/sh\n")
        another.chmod(0o755)
        for path in ("/usr/bin", str(tmp_path)):
            monkeypatch.setenv("PATH", path)
            own = own_command()
            assert shlex.split(own) == [str(HATIF)]
            assert runnable(text) == (
                f"run: {own} sync --full; the hatif home; `{own} rejects`, /opt/hatif sync"
            )


def test_an_error_names_its_remedy_by_a_command_that_works(tmp_path: Path) -> None:
    ended = CliRunner(env=environment(None, HATIF_HOME=str(tmp_path), PATH="/usr/bin")).invoke(
        main, ["query", "SELECT 1"]
    )
    assert ended.exit_code == 2
    assert f"run: {own_command()} sync --full" in ended.stderr
