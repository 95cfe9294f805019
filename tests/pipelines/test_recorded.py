"""A sync with Dagster and one without do the same and report the same."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from hatif.streams import STREAMS
from pipelines.recorded import Recorded
from rehearsal import Fault
from sync import run
from sync.session import RunOptions, open_session
from tests.conftest import IMPATIENT, Serve, settings_for
from tests.pipelines.conftest import environment
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.marts import refresh
from warehouse.merge import messages
from warehouse.settings.environment import Settings

_SMALL = {"contacts": 5, "conversations": 6, "events": 30}


@pytest.fixture
def home(filled: Settings, tmp_path: Path) -> Settings:
    """A copy of a home whose every table is made."""
    shutil.copytree(filled.home, tmp_path / "home")
    return Settings.load(
        home=tmp_path / "home",
        rate_card=filled.rate_card,
        client_id="x",
        client_secret="y",
        base_url="http://127.0.0.1:9",
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_streams_end_alike_where_some_fail_and_some_in_part(
    serve: Serve, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    server = serve(**_SMALL)
    server.fault(Fault("500", stream="tags", every=1))
    server.fault(Fault("500", stream="property_definitions", every=1))
    server.fault(Fault("500", path=f"/channels/{next(iter(server.world.channels))}", every=1))
    ends = []
    for name, runner in (("plain", run), ("recorded", Recorded(instance))):
        settings = settings_for(server, tmp_path / name)
        names = list(STREAMS)
        with open_session(settings, RunOptions(retry=IMPATIENT)) as session:
            results, broken = runner.read_service(session, names)
            statuses = {one: result.status for one, result in results.items()}
            for table in ("core.users", "core.contacts"):
                session.lake.write("double a row", partial(_double, table=table))
            again, broken_then = runner.read_service(session, ["users", "contacts"])
        ends.append((statuses, broken, {n: r.status for n, r in again.items()}, broken_then))
    assert ends[0] == ends[1]
    statuses, _, _, broken_then = ends[0]
    assert statuses["property_statistics"] == "skipped"
    assert (statuses["conversations"], statuses["timelines"]) == ("failed", "done")
    assert broken_then == [
        "users: the check rows_are_unique failed",
        "contacts: the check rows_are_unique failed",
    ]


def _double(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"INSERT INTO {table} FROM {table} LIMIT 1")


def _compute_both(settings: Settings, instance: dg.DagsterInstance) -> run.Computed:
    """Compute by both runners and return what they agree on."""
    with open_lake(settings) as lake:
        plain = run.compute(lake, settings, files=True)
        recorded = Recorded(instance).compute(lake, settings, files=True)
    assert plain.broken == recorded.broken
    return plain


def test_a_doubled_message_keeps_the_marts_as_they_are(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_lake(home) as lake:
        lake.write("double a row", partial(_double, table="core.messages"))
    monkeypatch.setattr(refresh, "refresh", lambda *_: pytest.fail("computed from doubled rows"))
    done = _compute_both(home, instance)
    assert "messages: the check rows_are_unique failed" in done.broken


def test_a_step_that_fails_ends_those_that_follow_and_names_its_reason(
    home: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(refresh, "refresh", full)
    (reason,) = _compute_both(home, instance).broken
    assert reason.startswith("marts: it did not end: the disk is full. Make room")

    def defect(lake: Lake) -> messages.Merged:
        raise ZeroDivisionError("of a customer")

    monkeypatch.setattr(run, "merge", defect)
    with open_lake(home) as lake:
        done = run.compute(lake, home, files=True)
    assert done.broken == ["merged: the step failed (ZeroDivisionError)"]


def test_the_command_runs_without_dagster(home: Settings) -> None:
    code = (
        "import sys\n"
        "from contextlib import suppress\n"
        "from pipelines.cli import main\n"
        "with suppress(SystemExit):\n"
        "    main(['sync', '--only', 'models'])\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'dagster'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"
