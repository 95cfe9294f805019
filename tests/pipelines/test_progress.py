"""What is computed after reading shows that it goes on, and in a log how long it took."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.progress import Bars, Lines


def test_bars_name_each_part_that_begins_and_how_long_the_one_before_took() -> None:
    shown = io.StringIO()
    with Bars(Console(file=shown, width=100, force_terminal=True), 60) as bars:
        bars.stage("messages and calls")
        bars.stage("marts")
    text = shown.getvalue()
    assert "messages and calls" in text
    assert text.count("done, 0.0 s") >= 2


def test_a_log_has_a_line_for_a_part_that_took_long_and_none_for_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = 0.0
    with Lines(clock=lambda: seconds) as lines:
        lines.stage("webhook files")
        seconds += 59
        lines.stage("marts")
        seconds += 72.3
    assert capsys.readouterr().err == "marts: done, 72.3 s\n"
