"""Ten workspaces on two of Celery's workers; one of the workers is killed."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipelines.retention import KEEP, tidy
from rehearsal import Fault, RehearsalServer, WorldSpec
from tests.cluster.conftest import client
from tests.cluster.machines import Machines
from tests.cluster.servers import S3, Broker, Postgres, free_port
from tests.comparison import TABLES, differences, stored
from warehouse.settings.environment import Settings
from warehouse.settings.variables import Given
from warehouse.settings.workspaces import Workspaces

_SOUND = tuple(f"sound-{number}" for number in range(7))
#: Two runs at once: each worker gets one.
_TWICE = _SOUND[0]
#: Whose worker is killed: its service lets a request wait so many seconds.
_KILLED, _SLOW = "killed", 600
_MISTAKEN, _DEAD = "mistaken", "dead"
_NAMES = (_MISTAKEN, _DEAD, *_SOUND, _KILLED)
_WRONG_SECRET = "not-the-secret"


@dataclass(frozen=True)
class World:
    """Ten workspaces, and machines to sync them.

    Attributes:
        machines: their processes.
        settings, servers: of each workspace.
    """

    machines: Machines
    settings: dict[str, Settings]
    servers: dict[str, RehearsalServer]

    def differences(self, *names: str) -> list[list[str]]:
        """Return what differs from the truth, of each workspace."""
        return [differences(self.settings[name], self.servers[name]) for name in names]

    def begin_slowly(self, *names: str) -> str:
        """Launch runs, and wait until the last one waits for its service; return its id."""
        server = self.servers[names[-1]]
        server.book.add(Fault("slow", stream="contacts", params={"seconds": _SLOW}))
        struck = sum(bool(one.fault) for one in server.requests)
        *_, last = self.machines.launch("full_sync", names, full=True)
        self.machines.await_that(
            lambda: sum(bool(one.fault) for one in server.requests) > struck, "a slow answer"
        )
        return last


@contextmanager
def _world(postgres: Postgres, s3: S3, folder: Path) -> Iterator[World]:
    bucket = f"hatif-{uuid.uuid4().hex[:12]}"
    client(s3).create_bucket(Bucket=bucket)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                RehearsalServer(WorldSpec(seed=seed, contacts=5, conversations=4, events=24))
            )
            for seed, name in enumerate(_NAMES)
        }
        with postgres.session() as session:
            for name in _NAMES:
                session.execute(f'CREATE DATABASE "{bucket}_{name}"')
        variables = {
            **s3.environment,
            "HATIF_WORKSPACES": str(_file(folder, servers, bucket)),
            "HATIF_HOME": str(folder / "homes"),
            "HATIF_CATALOG": f"postgres:{postgres.dsn(bucket)}",
            "HATIF_LAKE": str(folder / "disk"),
        }
        for name, server in servers.items():
            variables[_secret(name)] = _WRONG_SECRET if name == _MISTAKEN else server.client_secret
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            patch.setenv(name, value)
        workspaces = Workspaces.of(Given.read(Settings.model_fields))
        assert workspaces is not None
        settings = {name: workspaces.settings(name) for name in _NAMES}
        broker = Broker()
        broker.start()
        stack.callback(broker.stop)
        machines = Machines(folder, postgres, broker, variables, at_once=2)
        yield World(stack.enter_context(machines), settings, servers)


def _file(folder: Path, servers: dict[str, RehearsalServer], bucket: str) -> Path:
    tables = ["[defaults]\nrequests_per_minute = 0\n"]
    for name, server in servers.items():
        url = f"http://127.0.0.1:{free_port()}" if name == _DEAD else server.url
        tables.append(
            f'[{name}]\nbase_url = "{url}"\nclient_id = "{server.client_id}"\n'
            f'client_secret = {{ env = "{_secret(name)}" }}\n'
        )
    # The last one; the others share a disk, which is quicker.
    tables.append(f'lake = "s3://{bucket}/lake"\n')
    file = folder / "workspaces.toml"
    file.write_text("".join(tables))
    return file


def _secret(name: str) -> str:
    return f"SECRET_{name.upper().replace('-', '_')}"


# Half a minute of processor time on two cores; others may keep them busy.
@pytest.mark.long
@pytest.mark.timeout(540)
def test_ten_workspaces_on_two_workers_arrive_though_one_worker_is_killed(
    postgres: Postgres, s3: S3, tmp_path: Path
) -> None:
    with _world(postgres, s3, tmp_path) as world:
        machines = world.machines
        workers = [machines.start_worker(name) for name in ("one", "two")]
        lost = world.begin_slowly(_MISTAKEN, _DEAD, _TWICE, *_SOUND, _KILLED)
        group = os.getpgid(machines.process_of(lost))
        assert group in [worker.pid for worker in workers]
        os.killpg(group, signal.SIGKILL)
        machines.await_ends()

        _each_was_read_by_a_run_of_its_own(world, lost)
        _no_id_is_there_twice(world.settings[_TWICE])
        _a_run_that_is_terminated_ends(world, postgres)
        assert _secrets_written(world) == []
        _old_runs_are_forgotten(machines)


def _each_was_read_by_a_run_of_its_own(world: World, lost: str) -> None:
    runs: dict[str, list[dg.DagsterRun]] = {name: [] for name in _NAMES}
    for record in world.machines.records():
        runs[record.dagster_run.tags["hatif/workspace"]].append(record.dagster_run)
    assert {name: [run.status.value for run in found] for name, found in runs.items()} == {
        _MISTAKEN: ["FAILURE"],
        _DEAD: ["FAILURE"],
        **{name: ["SUCCESS"] for name in _SOUND},
        _TWICE: ["SUCCESS", "SUCCESS"],
        _KILLED: ["FAILURE", "SUCCESS"],
    }
    assert world.differences(*_SOUND, _KILLED) == [[]] * (len(_SOUND) + 1)
    first, again = runs[_KILLED]
    assert (first.run_id, again.parent_run_id) == (lost, lost)
    assert first.tags["hatif/worker"] != again.tags["hatif/worker"]
    workers = {run.tags["hatif/worker"].split("@")[0] for name in _SOUND for run in runs[name]}
    assert workers == {"one", "two"}


def _no_id_is_there_twice(settings: Settings) -> None:
    for table, keys in TABLES.items():
        doubles = f"SELECT 1 FROM core.{table} GROUP BY {', '.join(keys)} HAVING count(*) > 1"
        assert stored(settings, doubles) == [], table


def _a_run_that_is_terminated_ends(world: World, postgres: Postgres) -> None:
    """Though all connections to Dagster's storage were cut meanwhile."""
    run_id = world.begin_slowly(_KILLED)
    assert postgres.cut(world.machines.database) > 0
    assert world.machines.instance.run_launcher.terminate(run_id)
    world.machines.await_ends()
    run = world.machines.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert world.differences(_KILLED) == [[]]


def _old_runs_are_forgotten(machines: Machines) -> None:
    known = len(machines.records())
    assert tidy(machines.instance, datetime.now(UTC) + KEEP + timedelta(minutes=1)) == known
    assert machines.records() == []


def _secrets_written(world: World) -> list[str]:
    """Return which passwords stand in what Dagster keeps or a process printed."""
    secrets = world.machines.secrets | {server.client_secret for server in world.servers.values()}
    instance = world.machines.instance
    kept = [
        str(event.dagster_event or event.user_message)
        for record in world.machines.records()
        for event in instance.all_logs(record.dagster_run.run_id)
    ]
    text = world.machines.written() + "".join(kept)
    return [secret for secret in (*secrets, _WRONG_SECRET, S3.secret) if secret in text]
