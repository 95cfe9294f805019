"""What customers write is shown, and never obeyed by a terminal."""

from __future__ import annotations

import io

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.terminal import PrintableOutput, printable
from tests.pipelines.conftest import Synced, environment


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
