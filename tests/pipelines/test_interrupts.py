"""Ctrl-C ends a command with 130 and one line, also inside a statement that takes hours."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipelines import reported as module
from tests.pipelines.conftest import HATIF, Synced, environment
from warehouse.lake.locks import REBUILD, exclusive

#: Processor time after which the command has begun its statement: its start takes one second.
STARTED = 4.0
ENDLESS = "SELECT count(*) FROM range(9000000) a, range(9000000) b, range(9000) c"


def test_a_statement_that_takes_hours_is_left_at_once(synced: Synced) -> None:
    """Whatever started the tests may ignore Ctrl-C, which a program that it starts inherits."""
    with subprocess.Popen(
        [HATIF, "query", f"SELECT 1 UNION ALL ({ENDLESS})", "--format", "csv"],
        env=environment(synced.settings, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr
        while process.poll() is None and _cpu_seconds(process.pid) < STARTED:
            pass
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
        wording = process.stderr.read()
    assert (process.returncode, wording) == (130, "interrupted; what was stored stays\n")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_error_of_the_system_is_one_line_and_a_defect_is_not_hidden() -> None:
    def full() -> int:
        raise OSError(28, "No space left on device", "/home/x")

    @module.reported
    def defect() -> int:
        raise ZeroDivisionError

    runner = CliRunner()
    ended = runner.invoke(click.command()(module.reported(full)), [])
    assert ended.exit_code == 1
    assert ended.stderr.startswith("error: the command did not end: /home/x: the disk is full")
    with pytest.raises(ZeroDivisionError):
        defect()


def test_a_copy_is_refused_while_a_rebuild_changes_tables(synced: Synced) -> None:
    with exclusive(synced.settings.home / REBUILD, "rebuild"):
        ended = subprocess.run(
            [HATIF, "publish", "copy.duckdb"],
            env=environment(synced.settings),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: not published: rebuild (")
