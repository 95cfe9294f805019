"""A run that is killed with -9 under ``dagster dev`` ends right, without a hand on it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hatif.rehearsal import RehearsalServer, WorldSpec
from tests.browser.dagster_dev import DagsterDev, until
from tests.comparison import TABLES, differences, stored
from tests.conftest import settings_for
from tests.pipelines.conftest import environment
from warehouse.lake import Lake
from warehouse.schema import open_lake


@pytest.mark.timeout(1200)
def test_a_run_killed_with_minus_nine_is_retried_and_core_equals_the_truth(tmp_path: Path) -> None:
    with RehearsalServer(
        WorldSpec(contacts=50, conversations=100, events=2_000), port=8851
    ) as server:
        settings = settings_for(server, tmp_path / "home", requests_per_minute=60)
        with open_lake(settings):
            pass  # so that the tables can be looked at from the beginning

        def timelines_read() -> int | None:
            (row,) = stored(
                settings, "SELECT count(*) AS n FROM ops.cursors WHERE stream = 'timelines'"
            )
            return row["n"] or None

        with DagsterDev(
            tmp_path / "dagster", environment(settings), "pipelines.definitions", 3151
        ) as dev:
            killed = dev.launch("full_sync")
            read = until(timelines_read, 240, "some timelines are read")
            pid = dev.pid_of(killed)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert read < 100  # it was in the middle

            def ended() -> list[str] | None:
                family = [r for r in dev.runs() if killed in (r["runId"], r["parentRunId"])]
                states = [run["status"] for run in reversed(family)]
                return states if len(states) == 2 and states[1] in ("SUCCESS", "FAILURE") else None

            assert until(ended, 600, "the run is launched again and ends") == ["FAILURE", "SUCCESS"]
            until(lambda: not _busy(dev) or None, 300, "what follows a sync has ended")

        assert differences(settings, server) == []
        assert _doubled(settings) == []


def _busy(dev: DagsterDev) -> list[str]:
    under_way = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
    return [run["jobName"] for run in dev.runs() if run["status"] in under_way]


def _doubled(settings: object) -> list[str]:
    with Lake(settings, read_only=True) as lake:  # type: ignore[arg-type]
        connection = lake.reader()
        return [
            table
            for table, key in TABLES.items()
            if connection.execute(
                f"SELECT count(*) - count(DISTINCT ({', '.join(key)})) FROM core.{table}"
            ).fetchone()
            != (0,)
        ]
