"""A run that is killed with -9 under ``dagster dev`` ends right, without a hand on it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rehearsal import RehearsalServer, WorldSpec
from tests.browser.dagster_dev import DagsterDev, until
from tests.comparison import differences, stored
from tests.conftest import settings_for
from tests.pipelines.conftest import environment
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

_SIZE = WorldSpec(contacts=50, conversations=100, events=2_000)
_UNDER_WAY = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}


@pytest.mark.timeout(1200)
def test_a_run_killed_with_minus_nine_is_retried_and_core_equals_the_truth(tmp_path: Path) -> None:
    with RehearsalServer(_SIZE, port=8851) as server:
        settings = settings_for(server, tmp_path / "home", requests_per_minute=60)
        with open_lake(settings):
            pass  # so that its tables can be looked at from the beginning
        dev = DagsterDev(tmp_path / "dagster", environment(settings), "pipelines.definitions", 3151)
        with dev.serving():
            run = dev.launch("full_sync")
            read = until(lambda: _timelines_read(settings), 240, "some timelines are read")

            pid = dev.pid_of(run)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

            assert read < 100  # in the middle of them
            states = until(lambda: _ended(dev, run), 600, "the run is launched again and ends")
            assert states == ["FAILURE", "SUCCESS"]

        assert differences(settings, server) == []  # doubled rows would be one


def _timelines_read(settings: Settings) -> int | None:
    sql = "SELECT count(*) AS n FROM ops.cursors WHERE stream = 'timelines'"
    return stored(settings, sql)[0]["n"] or None


def _ended(dev: DagsterDev, run: str) -> list[str] | None:
    """How a run and the one launched in its place ended, once nothing is under way any more."""
    runs = dev.runs()
    family = [one["status"] for one in runs if run in (one["runId"], one["parentRunId"])]
    quiet = not _UNDER_WAY & {one["status"] for one in runs}
    return family[::-1] if quiet and len(family) == 2 else None
