"""Two homes on one catalog, all kinds of commands at once, each killed again and again.

Some seconds in CI; `CLUSTER_SECONDS=300 make test-cluster` is the long form, in which the server
restarts and connections are cut meanwhile, too. `CLUSTER_SEED` draws another course.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rehearsal import RehearsalServer
from rehearsal.ids import aware
from tests.cluster.conftest import Stores, client
from tests.cluster.workers import HATIF, ROOT, Command, Disturber, Failure, Worker
from tests.comparison import TABLES, differences, message_differences, stored
from tests.conftest import Serve, settings_for
from warehouse.lake import maintenance
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.lake.marker import is_written_by_us
from warehouse.lake.postgres import SCHEMA
from warehouse.lake.schema import open_lake
from warehouse.models.model import models
from warehouse.settings.environment import Settings

_SECONDS = float(os.environ.get("CLUSTER_SECONDS", "25"))
_SEED = int(os.environ.get("CLUSTER_SEED", "1"))
_IS_LONG = _SECONDS >= 60
#: Where requests wait for their budget, what reads the service gets on more slowly.
_PATIENCE = 3 if _IS_LONG else 1
#: What runs in the two homes: of each line one at a time, drawn at random.
_WORKERS = (
    ("one", (Command(("sync",), 6.0 * _PATIENCE),)),
    # Longer it waits for its budget alone.
    ("two", (Command(("sync", "--full"), 8.0),)),
    (
        "one",
        (Command(("sync", "--only", "webhooks"), 5.0), Command(("live",), 8.0, ends=False)),
    ),
    (
        "two",
        (
            Command(("maintain",), 6.0),
            Command(("publish",), 4.0),
            Command(("rebuild",), 8.0 * _PATIENCE),
            Command(("maintain",), 6.0 * _PATIENCE),
        ),
    ),
    (
        "one",
        (
            Command(("query", "SELECT count(*), count(DISTINCT contact_id) FROM contacts"), 2.0),
            Command(("status",), 2.0),
        ),
    ),
)
#: Requests a minute: more than the test makes in its short form, so that it does not wait.
_PER_MINUTE = 120 if _IS_LONG else 600
_LEAST_KILLS = 10 if _IS_LONG else 1
#: What a command may end with while its connection is cut or the server restarts.
_NAMED = re.compile(r"connection .*was cut|starting or stopping|no server answers|gave no answer")
_VERSIONS = """
    SELECT stream, record_id FROM (
        SELECT *, lag(payload_hash) OVER (PARTITION BY stream, record_id ORDER BY seq) AS former
        FROM raw.records
    ) WHERE payload_hash = former
"""
_DELIVERIES = "SELECT count(*) - count(DISTINCT delivery_id) AS doubles FROM raw.webhook_events"


class _World:
    """A service that lives, and a bucket that its webhooks come to."""

    def __init__(self, server: RehearsalServer, stores: Stores, folder: Path) -> None:
        self._server = server
        self._stores = stores
        self._folder = folder
        self._since = server.world.start
        self.deliver()

    def deliver(self) -> None:
        """Upload what the service sends since the last time."""
        folder = self._folder / str(self._server.world.now)
        begin, self._since = self._since, self._server.world.now
        self._server.write_webhooks(folder, aware(begin), repeated=0.1)
        for file in filter(Path.is_file, folder.rglob("*")):
            key = f"webhooks/{folder.name}/{file.relative_to(folder)}"
            client(self._stores.s3).upload_file(str(file), self._stores.bucket, key)

    def live(self) -> None:
        """Let half an hour pass."""
        self._server.advance(timedelta(minutes=30))
        self.deliver()


def _environment(
    settings: Settings, server: RehearsalServer, stores: Stores, per_minute: int = _PER_MINUTE
) -> dict[str, str]:
    return {
        **os.environ,
        "HATIF_HOME": str(settings.home),
        "HATIF_CATALOG": stores.catalog,
        "HATIF_LAKE": stores.lake,
        "HATIF_WEBHOOK_DIR": f"s3://{stores.bucket}/webhooks",
        "HATIF_WEBHOOK_SECRETS": server.webhook_secrets_setting,
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": str(per_minute),
    }


def _run(environment: dict[str, str], *words: str) -> None:
    done = subprocess.run(
        [HATIF, *words], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (words, done.stdout + done.stderr)


def _most_in_a_minute(instants: list[float]) -> int:
    return max(sum(begin <= one < begin + 60 for one in instants) for begin in instants)


def _live(world: _World, seconds: float) -> None:
    """Let the world's time pass for so long."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        world.live()
        time.sleep(min(left, _SECONDS / 12))


def _disturbances(stores: Stores) -> tuple[Callable[[], object], ...]:
    """Connections that are cut, some or all, and a server that crashes; the last is rarer."""

    def cut_some() -> None:
        stores.postgres.cut(stores.database, "random() < 0.5")

    def cut_all() -> None:
        stores.postgres.cut(stores.database)

    return cut_some, cut_some, cut_all, stores.postgres.restart


def _unexplained(worker: Worker, disturber: Disturber) -> list[Failure]:
    """Return what failed without a disturbance, or in other words than one is named by."""
    return [
        failure
        for failure in worker.failures
        if not disturber.struck(failure)
        or failure.code != 1
        or not _NAMED.search(" ".join(failure.output.split()))
    ]


@pytest.mark.long
@pytest.mark.timeout(375 + 3 * _SECONDS)
def test_two_homes_killed_at_random_end_in_the_truth(
    stores: Stores, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(contacts=40, conversations=30, events=500)
    world = _World(server, stores, tmp_path / "webhooks")
    homes = {
        name: settings_for(server, tmp_path / name, **stores.settings) for name in ("one", "two")
    }
    environments = {
        name: _environment(settings, server, stores) for name, settings in homes.items()
    }
    _run(environments["one"], "sync", "--stream", "users")
    workers = [
        Worker(commands, environments[home], 1000 * _SEED + number)
        for number, (home, commands) in enumerate(_WORKERS)
    ]
    disturber = Disturber(_disturbances(stores), _SECONDS / 12, _SEED)
    for thread in (*workers, *([disturber] if _IS_LONG else [])):
        thread.start()
    _live(world, _SECONDS)
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.wait()
    if _IS_LONG:
        disturber.stop()
    kills = sum((worker.kills for worker in workers), Counter())
    requests = [request.at for request in server.requests]
    done = sum((worker.done for worker in workers), Counter())
    logging.info("killed %s, ended %s", dict(kills), dict(done))
    logging.info("of each worker: %s", [worker.kills.total() for worker in workers])
    most = _most_in_a_minute(requests)
    logging.info(
        "disturbances: %d, requests: %d, %d at most", len(disturber.done), len(requests), most
    )

    unexplained = [one for worker in workers for one in _unexplained(worker, disturber)]
    for one in unexplained:
        logging.warning("hatif %s ended with %d: %s", one.words, one.code, one.output)
    assert unexplained == []
    assert min(worker.kills.total() for worker in workers) >= _LEAST_KILLS
    assert most <= _PER_MINUTE
    _run(_environment(homes["two"], server, stores, per_minute=0), "sync", "--full")
    _see_the_truth(homes["one"], server)
    _see_increments_equal_a_rebuild(homes["two"], environments["two"])
    _see_no_orphans(homes["one"], stores, monkeypatch)


def _see_the_truth(settings: Settings, server: RehearsalServer) -> None:
    assert differences(settings, server) == []
    # A bucket dates what is uploaded, so bodies that do not state when they came came later here.
    found = message_differences(settings, server)
    assert [one for one in found if not one.startswith("messages.withdrawn_at:")] == []
    for table, names in TABLES.items():
        columns = ", ".join(names)
        doubles = f"SELECT {columns} FROM core.{table} GROUP BY ALL HAVING count(*) > 1"
        assert stored(settings, doubles) == [], table
    assert stored(settings, _VERSIONS) == []
    assert stored(settings, _DELIVERIES) == [{"doubles": 0}]


def _see_increments_equal_a_rebuild(settings: Settings, environment: dict[str, str]) -> None:
    kept = _everything(settings)
    _run(environment, "rebuild")
    for table, rows in _everything(settings).items():
        assert kept[table] == rows, table


def _everything(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of core and marts, each table scanned and counted."""
    found = {}
    with Lake(settings, read_only=True) as lake, lake.snapshot() as connection:
        for model in (*models("core"), *models("marts")):
            columns = ", ".join(f'"{column.name}"' for column in model.columns)
            rows = f"SELECT {columns} FROM {model.table} ORDER BY ALL"
            found[model.table] = connection.execute(rows).fetchall()
            counted = connection.execute(f"SELECT count(*) FROM {model.table}").fetchone()
            assert counted == (len(found[model.table]),), model.table
    return found


def _see_no_orphans(settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """After maintenance, as if two days had passed, the catalog knows every file of the lake."""
    monkeypatch.setattr(maintenance, "_REMOVE_AFTER", "now() + INTERVAL 1 DAY")
    with open_lake(settings) as lake:
        maintain(lake, patience=0)
    kinds = ("data_file", "delete_file")
    known = " UNION ALL ".join(f"SELECT path FROM {SCHEMA}.ducklake_{kind}" for kind in kinds)
    with stores.postgres.session(stores.database) as session:
        names = {Path(path).name for (path,) in session.execute(known).fetchall()}
    there = {Path(key).name for key in stores.objects("lake/")}
    assert {name for name in there if is_written_by_us(name)} == names
