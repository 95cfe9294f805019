"""A check that fails means something to do: none fails for a full sync beside it."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb
import pytest

from sync import checks
from sync.check import CheckResult
from sync.run import compute
from tests.conftest import Serve, settings_for, sync
from tests.pipelines.conftest import HATIF, environment
from tests.warehouse.marts.world import World
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.marts.tie_outs import TieOut, tie_outs, wrong
from warehouse.settings.environment import Settings

#: Runs of webhooks that begin while the sync is under way, at most.
_ROUNDS = 2


def _execute(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(sql)


def _failed(lake: Lake, settings: Settings) -> dict[str, str]:
    """Return what the checks of a run of webhooks say that is wrong, by their names."""
    results: list[CheckResult] = [
        *checks.webhook_results(lake, settings),
        *checks.merged_results(lake),
        *checks.mart_results(lake),
    ]
    return {one.name: one.message for one in results if one.message is not None}


def test_no_check_of_a_webhook_run_fails_beside_a_full_sync(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=12, conversations=15, events=300)
    settings = settings_for(server, tmp_path / "home")
    sync(settings)
    since = server.now
    server.advance(timedelta(hours=2), messages=40, contacts=5)
    command = [str(HATIF), "sync", "--full", "--only", "api"]
    with (
        open_lake(settings) as lake,
        subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL) as beside,
    ):
        for _ in range(_ROUNDS):
            server.advance(timedelta(minutes=1), messages=2, contacts=1)
            server.write_webhooks(settings.webhook_directory, since)
            since = server.now
            compute(lake, settings, files=True)
            # Which share of deliveries has no ids is the made-up service's.
            assert _failed(lake, settings).keys() <= {"few_are_joined_by_time"}
            if beside.poll() is not None:
                break
    assert beside.returncode == 0


def test_a_conversation_that_a_webhook_names_first_is_no_failure_until_its_list_was_read(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "home")
    known = next(one for one in tie_outs() if one.name == "conversations_are_known")
    world.say("c", "customer 03-01 09:00")
    world.refresh()
    marks = [
        "INSERT INTO wh.ops.hints VALUES ('timelines', 'c', TIMESTAMPTZ '2026-03-01 09:00', false)",
        (
            "INSERT INTO wh.ops.scans BY NAME SELECT 's' AS scan_id, 'conversations' AS stream, "
            "'x' AS mode, TIMESTAMPTZ '2026-03-01 10:00' AS started_at, 'complete' AS verdict"
        ),
    ]
    found = []
    for mark in marks:
        world.lake.write("mark", partial(_execute, sql=mark))
        with world.lake.reading() as connection:
            found.append(wrong(connection, known))
    world.close()
    assert found == [0, 1]


@pytest.mark.parametrize("one", tie_outs(), ids=lambda one: one.name)
def test_what_a_check_of_the_marts_advises_is_something_to_do(one: TieOut) -> None:
    assert one.advice
    if one.loses_nothing:
        assert "rebuild" not in one.advice  # nothing would change by that
