"""Several workspaces on one PostgreSQL server and one bucket: each by itself, from end to end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import psycopg
import pytest

from rehearsal import RehearsalServer, WorldSpec
from tests.cluster.conftest import client
from tests.cluster.servers import S3, Postgres
from tests.comparison import differences, stored
from tests.pipelines.conftest import HATIF, environment, hatif
from warehouse.settings.environment import Settings

pytestmark = pytest.mark.long

_NAMES = ("riyadh", "jeddah", "dammam")
_BROKEN = "mecca"
_PASSWORD = "p'a ss-{}"


class _Workspaces:
    """Three workspaces with databases, users and prefixes of their own, and one that is shut out.

    Attributes:
        servers: what each reads, by name.
        variables: environment of a command for all.
    """

    def __init__(self, folder: Path, postgres: Postgres, s3: S3) -> None:
        self._postgres, self._s3 = postgres, s3
        self.bucket = f"several-{folder.name[-8:].replace('_', '-')}-bucket"
        client(s3).create_bucket(Bucket=self.bucket)
        self.servers = {
            name: RehearsalServer(
                WorldSpec(seed=seed, contacts=10 + seed, conversations=8, events=80)
            )
            for seed, name in enumerate((*_NAMES, _BROKEN))
        }
        for name in self.servers:
            self._make_database(name)
        file = folder / "workspaces.toml"
        file.write_text(
            f'[defaults]\nrequests_per_minute = 0\nlake = "s3://{self.bucket}/lakes"\n'
            "catalog = { env = 'CATALOG_{workspace}' }\n"
            "client_secret = { env = 'SECRET_{workspace}' }\n"
            + "".join(map(self._table, self.servers))
        )
        secrets = {
            f"SECRET_{name.upper()}": one.client_secret for name, one in self.servers.items()
        }
        catalogs = {f"CATALOG_{name.upper()}": self.catalog(name) for name in self.servers}
        catalogs[f"CATALOG_{_BROKEN.upper()}"] = self.catalog(_BROKEN, password="wrong-w%ord")
        self.variables = {
            "HATIF_WORKSPACES": str(file),
            "HATIF_HOME": str(folder / "homes"),
            **s3.environment,
            **secrets,
            **catalogs,
        }
        self._folder = folder

    def _table(self, name: str) -> str:
        server = self.servers[name]
        return f'[{name}]\nbase_url = "{server.url}"\nclient_id = "{server.client_id}"\n'

    def _make_database(self, name: str) -> None:
        password = _PASSWORD.format(name).replace("'", "''")
        with self._postgres.session() as session:
            session.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            session.execute(f"CREATE DATABASE hatif_{name} OWNER {name}")
            session.execute(f"REVOKE CONNECT ON DATABASE hatif_{name} FROM PUBLIC")

    def catalog(self, name: str, **more: str) -> str:
        """Return the connection string of a workspace's user."""
        given = {"user": name, "password": _PASSWORD.format(name), **more}
        return f"postgres:{self._postgres.dsn(f'hatif_{name}', **given)}"

    def settings(self, name: str) -> Settings:
        """Return the settings of a workspace, for a look from outside."""
        return Settings.load(
            home=self._folder / "homes" / name,
            catalog=self.catalog(name),
            lake=f"s3://{self.bucket}/lakes/{name}",
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command for all of them."""
        done = hatif(*words, settings=None, patience=280, **self.variables)
        assert "w%ord" not in done.stdout + done.stderr
        assert "p'a ss" not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def several(
    postgres: Postgres, s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Workspaces]:
    """All of them, synced once."""
    found = _Workspaces(tmp_path_factory.mktemp("several"), postgres, s3)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment.items():
            patch.setenv(name, value)
        for server in found.servers.values():
            server.start()
        done = found.run("sync")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "the password of user mecca was refused" in done.stdout + done.stderr
        yield found
    for server in found.servers.values():
        server.stop()


def test_each_holds_its_own_truth_and_one_that_is_refused_keeps_no_other_from_it(
    several: _Workspaces,
) -> None:
    for name in _NAMES:
        assert differences(several.settings(name), several.servers[name]) == [], name
    found = json.loads(several.run("status", "--json").stdout)["workspaces"]
    states = {name: one.get("error", "")[:99] or one["state"] for name, one in found.items()}
    assert "user=mecca" in states.pop(_BROKEN)
    assert states == dict.fromkeys(_NAMES, "read")
    answer = several.run("query", "--all", "SELECT count(*) FROM contacts", "--format", "csv")
    assert answer.stdout.splitlines()[1:] == ["riyadh,10", "jeddah,11", "dammam,12"]
    assert answer.returncode == 1


def test_a_copy_of_all_has_the_rows_of_each(several: _Workspaces, tmp_path: Path) -> None:
    done = several.run("publish", "--all", str(tmp_path / "all.duckdb"))
    assert done.stdout.endswith("3 of 4 workspaces\n"), done.stderr
    with duckdb.connect(str(tmp_path / "all.duckdb"), read_only=True) as copy:
        counted = "SELECT workspace, count(*) FROM core.contacts GROUP BY ALL ORDER BY ALL"
        found = copy.execute(counted).fetchall()
        assert found == [("dammam", 12), ("jeddah", 11), ("riyadh", 10)]


def test_all_are_maintained_and_examined(several: _Workspaces) -> None:
    found = json.loads(several.run("maintain", "--json").stdout)["workspaces"]
    assert [name for name, one in found.items() if "error" in one] == [_BROKEN]
    examined = json.loads(several.run("doctor", "--no-probe", "--json").stdout)["workspaces"]
    for name, one in examined.items():
        states = {finding["check"]: finding["status"] for finding in one["findings"]}
        assert states["database"] == ("failed" if name == _BROKEN else "ok")
        assert states["bucket"] == "ok"


def test_nothing_of_one_reaches_another(several: _Workspaces, tmp_path: Path) -> None:
    """Rights keep a user to its own database, and each lake lies below its own prefix."""
    theirs = several.catalog("jeddah", user="riyadh", password=_PASSWORD.format("riyadh"))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(theirs.partition(":")[2])
    pages = client(several._s3).list_objects_v2(Bucket=several.bucket, MaxKeys=1000)
    # Without the empty objects that pyarrow leaves where a folder's last object was removed.
    keys = [one["Key"] for one in pages["Contents"] if one["Size"]]
    folders = {"/".join(key.split("/")[:2]) for key in keys}
    assert folders == {f"lakes/{name}" for name in _NAMES}
    # One that is led to another's database, also under another name of it, is none of the two.
    moved = environment(None, **several.variables)
    moved["CATALOG_DAMMAM"] = several.catalog("jeddah", options="-csearch_path=dammam")
    done = subprocess.run(
        [HATIF, "query", "--all", "SELECT 1 AS one", "--format", "csv"],
        env=moved,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[1:] == ["riyadh,1"]
    for name, other in (("jeddah", "dammam"), ("dammam", "jeddah")):
        assert f"lies inside the catalog of workspace {other}" in done.stderr, name


def test_a_webhook_goes_to_the_workspace_that_it_names(several: _Workspaces) -> None:
    with subprocess.Popen(
        [HATIF, "collect", "--port", "0"],
        env=environment(None, **several.variables),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        for name in _NAMES:
            workspace = several.servers[name].client_id.partition("_API_")[0]
            body = {"callId": f"of-{name}", "channelId": "x", "status": 1, "workspaceId": workspace}
            assert httpx.post(url, json=body).status_code == 200
        process.terminate()
        assert process.wait(60) == 0
    done = several.run("sync", "--only", "webhooks")
    assert done.returncode == 1  # of the one that is shut out
    for name in _NAMES:
        sql = "SELECT json_extract_string(body::JSON, '$.callId') AS id FROM raw.webhook_events"
        assert stored(several.settings(name), sql) == [{"id": f"of-{name}"}]
