"""One PostgreSQL and one S3 server for all tests; a database and a bucket for each."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from rehearsal import RehearsalServer, WorldSpec
from tests.cluster.proxies import S3Proxy, TcpProxy
from tests.cluster.servers import S3, Postgres
from tests.conftest import full_sync, settings_for
from warehouse.lake import bucket
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings


@dataclass(frozen=True)
class Stores:
    """A database and a bucket of one test's own.

    Attributes:
        postgres, s3: the servers.
        database, bucket: names on them.
    """

    postgres: Postgres
    s3: S3
    database: str
    bucket: str

    @property
    def catalog(self) -> str:
        """HATIF_CATALOG."""
        return f"postgres:{self.postgres.dsn(self.database)}"

    @property
    def lake(self) -> str:
        """HATIF_LAKE."""
        return f"s3://{self.bucket}/lake"

    @property
    def settings(self) -> dict[str, str]:
        """Both as settings by field."""
        return {"catalog": self.catalog, "lake": self.lake}

    def objects(self, prefix: str = "") -> dict[str, int]:
        """Return the bucket's objects with their bytes."""
        pages = client(self.s3).get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return {one["Key"]: one["Size"] for page in found for one in page.get("Contents", ())}


def client(s3: S3):
    """Return a client of the S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=s3.key,
        aws_secret_access_key=s3.secret,
        region_name="us-east-1",
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server."""
    folder = Path(tempfile.mkdtemp(prefix="hatif-postgres-"))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A running server."""
    server = S3()
    server.start()
    yield server
    server.stop()


def maintain_home(settings: Settings) -> None:
    """Maintain a store as `hatif maintain` does."""
    with open_lake(settings) as lake:
        maintain(lake)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home in files, synced and maintained, and its service; nobody may change it."""
    with RehearsalServer(WorldSpec(seed=3, contacts=8, conversations=5, events=50)) as server:
        settings = settings_for(server, tmp_path_factory.mktemp("made") / "home")
        full_sync(settings)
        maintain_home(settings)
        yield settings


@pytest.fixture(scope="session", autouse=True)
def _no_waits() -> Iterator[None]:
    """Between tries of what a bucket refused DuckDB and we wait for a moment only."""
    statement = bucket.Bucket.secret

    def secret(self: bucket.Bucket, *, is_shut: bool = False) -> str:
        return f"SET http_retry_wait_ms = 1; {statement(self, is_shut=is_shut)}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket.Bucket, "secret", secret)
        patch.setattr(bucket, "_WAITS", (0.01, 0.02, None))
        yield


@pytest.fixture
def stores(postgres: Postgres, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """A database and a bucket, and the environment that leads to them."""
    name = f"hatif-{uuid.uuid4().hex[:12]}"
    with postgres.session() as session:
        session.execute(f'CREATE DATABASE "{name}"')
    client(s3).create_bucket(Bucket=name)
    for variable, value in s3.environment.items():
        monkeypatch.setenv(variable, value)
    return Stores(postgres, s3, name, name)


@pytest.fixture
def proxy(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A proxy before the bucket, which the environment leads to."""
    with S3Proxy(stores.s3.port) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server
        server.shutdown()


@pytest.fixture
def between(stores: Stores) -> Iterator[TcpProxy]:
    """A proxy before the database."""
    proxy = TcpProxy(stores.postgres.port)
    yield proxy
    proxy.close()
