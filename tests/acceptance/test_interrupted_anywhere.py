"""A sync killed at any instant, then run again, ends as one that was never disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rehearsal import RehearsalServer
from tests.comparison import TABLES, differences, stored
from tests.conftest import Serve, settings_for
from warehouse.errors import QueryRefused
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings

_KILLS = 10

# In one statement, so at one instant: raw and core are written together or not at all.
_HALF_A_BATCH = """
    SELECT stream FROM (
        SELECT 'timelines' AS stream, (SELECT count(DISTINCT record_id) FROM raw.records
            WHERE stream = 'timelines') AS raw_rows, (SELECT count(*) FROM timeline_events) AS rows
        UNION ALL
        SELECT 'contact_history', (SELECT count(DISTINCT record_id) FROM raw.records
            WHERE stream = 'contact_history'), (SELECT count(*) FROM contact_history)
        UNION ALL
        SELECT 'certificates', (SELECT max(distinct_ids) FROM scans WHERE stream = 'users'),
            (SELECT nullif(count(*), 0) FROM users)
    ) WHERE raw_rows IS DISTINCT FROM rows
"""


def _hatif(settings: Settings, server: RehearsalServer, *words: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "HATIF_HOME": str(settings.home),
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": "0",
        "HATIF_CATALOG": settings.catalog or "",
        "HATIF_LAKE": settings.lake or "",
    }
    command = [str(Path(sys.executable).with_name("hatif")), *words]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class _Onlooker(threading.Thread):
    """Asks the warehouse over and over, in its own connection, while syncs run and die."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._over = threading.Event()
        self.looks = 0
        self.seen: list[str] = []

    def run(self) -> None:
        while not self._over.wait(0.2):  # leaving the syncs some of two cores
            try:
                with Query(self._settings, _HALF_A_BATCH) as found:
                    rows = [row for batch in found.batches() for row in batch.to_pylist()]
            except QueryRefused as error:
                rows = [{"stream": str(error)}]
            self.looks += 1
            self.seen += [row["stream"] for row in rows]

    def stop(self) -> None:
        self._over.set()
        self.join()


def _finish(process: subprocess.Popen[bytes]) -> bytes:
    _, wording = process.communicate()
    assert process.returncode == 0, wording
    return wording


@pytest.mark.long
def test_ten_kills_and_a_run_end_in_the_same_tables_as_one_run(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=50, conversations=50, events=1_500)
    calm = settings_for(server, tmp_path / "calm")
    began = time.monotonic()
    _finish(_hatif(calm, server, "sync", "--full"))
    usual = time.monotonic() - began

    killed = settings_for(server, tmp_path / "killed")
    dice = random.Random(11)
    # Once before anything, so that there is something to look at; then at random instants.
    _finish(_hatif(killed, server, "sync", "--full", "--stream", "users"))
    onlooker = _Onlooker(killed)
    onlooker.start()
    for _ in range(_KILLS):
        process = _hatif(killed, server, "sync", "--full")
        time.sleep(usual * dice.uniform(0.2, 0.95))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    _finish(_hatif(killed, server, "sync", "--full"))
    onlooker.stop()

    assert differences(killed, server) == []
    for table in (*TABLES, "messages", "calls"):
        rows = "SELECT * FROM core." + table + " ORDER BY ALL"
        assert stored(killed, rows) == stored(calm, rows), table
    assert onlooker.looks > 10
    assert onlooker.seen == []
    doubles = "SELECT count(*) - count(DISTINCT (stream, record_id)) AS n FROM raw.records"
    assert stored(killed, doubles)[0]["n"] == 0
