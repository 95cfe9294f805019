"""The process that works off webhook files: started, listened to, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import live_process
from pipelines.live_process import Heard, LiveProcess
from sync.live import Report
from tests.comparison import stored
from tests.pipelines.conftest import HATIF, environment
from tests.template import make_home
from tests.warehouse.webhooks.conftest import line
from warehouse.settings.environment import Settings


def _command(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def _until(process: LiveProcess, holds: Callable[[Heard], bool]) -> Heard:
    """Look until something holds of what was heard."""
    deadline = time.monotonic() + 60
    while not holds(heard := process.tend()):
        assert time.monotonic() < deadline
        os.sched_yield()
    return heard


def test_its_reports_are_collected_and_each_is_given_out_once() -> None:
    line = json.dumps({"passes": 1, "deliveries": 3})
    process = LiveProcess(_command(f"import sys; print('{line}', flush=True); sys.stdin.read()"))
    heard = _until(process, lambda one: bool(one.reports))
    assert heard == Heard(works=True, reports=[Report(passes=1, deliveries=3)])
    assert process.tend() == Heard(works=True)
    process.stop()


def test_one_that_cannot_begin_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    process = LiveProcess(_command("raise SystemExit(2)"))
    _until(process, lambda one: not one.works)
    process._listener.join()
    now = time.monotonic()
    later = SimpleNamespace(monotonic=lambda: now + live_process._REST + 1)
    monkeypatch.setattr(live_process, "time", later)
    assert process.tend().works
    process.stop()


def test_one_that_worked_before_it_was_killed_is_started_at_once() -> None:
    line = json.dumps({"passes": 1, "deliveries": 3})
    process = LiveProcess(_command(f"print('{line}', flush=True); raise SystemExit(9)"))
    for _ in range(2 * live_process._STARTS):
        heard = _until(process, lambda one: bool(one.reports))
        assert heard.reports == [Report(passes=1, deliveries=3)]
        process._listener.join()
    assert process.tend().works
    process.stop()


def _listen(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [HATIF, "live", "--reports"],
        env=environment(HATIF_HOME=str(settings.home)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_killed_at_any_moment_every_delivery_is_in_the_marts_once(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    make_home(settings)
    settings.webhook_directory.mkdir()
    number = 0
    for _ in range(2):
        with _listen(settings) as process:
            assert process.stdout is not None
            for _ in range(2):
                number += 1
                file = settings.webhook_directory / f"{number}.ndjson"
                file.write_bytes(line(number) + b"\n")
                if number % 2:
                    process.stdout.readline()
            # While the second is on its way.
            process.send_signal(signal.SIGKILL)
    with _listen(settings) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait() == 0
    facts = stored(
        settings, "SELECT count(*) AS n, count(DISTINCT message_key) AS k FROM marts.message_facts"
    )
    assert facts == [{"n": number, "k": number}]


def test_a_second_in_the_same_home_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path / "home")
    make_home(settings)
    settings.webhook_directory.mkdir()
    (settings.webhook_directory / "1.ndjson").write_bytes(line(1) + b"\n")
    with _listen(settings) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run(
            [HATIF, "live"],
            env=environment(HATIF_HOME=str(settings.home)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"live.lock is held by live (hatif, process {first.pid}" in second.stderr
        first.stdin.close()
