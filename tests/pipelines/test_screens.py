"""What the commands print is legible in a terminal of 80 columns."""

from __future__ import annotations

import io

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from hatif.reading import StreamResult
from pipelines.cli import main
from pipelines.forecast import Plan
from pipelines.progress import Bars


def helps() -> list[list[str]]:
    """Every command, and every one below it, as it is typed."""
    found: list[list[str]] = [[]]
    for name, command in main.commands.items():
        found.append([name])
        if isinstance(command, click.Group):
            found += [[name, below] for below in command.commands]
    return found


@pytest.mark.parametrize("command", helps(), ids=" ".join)
def test_help_is_whole(command: list[str]) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*command, "--help"]).output
    usage, texts = shown.split("\n", 1)
    assert usage.startswith("Usage: ")
    assert "..." not in texts
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("width", [80, 120])
def test_bars_fit_and_what_has_ended_stays_as_a_line(width: int) -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=width, force_terminal=True, color_system=None)
    plan = Plan(["property_definitions", "timelines", "marts"], lambda _: 0, lambda: None)
    with Bars(console, 60) as bars:
        bars.expect(plan)
        bars.started("property_definitions", None, "rows")
        bars.finished(StreamResult("property_definitions", rows_read=8, rows_changed=8))
        bars.started("timelines", 3_000, "conversations")
        for _ in range(100):
            bars.advanced("timelines", 1)
        console.print(bars.drawing)
        bars.finished(StreamResult("timelines", rows_read=60_000, rows_changed=60_000))
        bars.stage("marts")
    text = shown.getvalue()
    drawn = [line.rstrip() for line in text.splitlines() if "100/3000" in line]
    assert drawn
    assert "…" not in text
    assert " conversations, " in drawn[-1]
    assert "property_definitions: done, 8 read, 8 new or changed, 0 requests, 0.0 s\n" in text
    assert "whole sync" in text
    assert "stage 2 of 3" in text
    assert "marts: done, 0.0 s\n" in text
