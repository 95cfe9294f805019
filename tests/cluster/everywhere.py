"""Gives each home of a test a database and a prefix: `pytest -p tests.cluster.everywhere …`.

So any tests that make their settings with `settings_for` run on PostgreSQL and a bucket. Tests of
files that a home has only without them are left out.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest
from tests.cluster.conftest import client
from tests.cluster.servers import S3, Postgres

#: Copies the files of a home. Of a database and a bucket: tests/cluster/test_backup.py.
_OF_FILES = ("test_backup.py",)
_BUCKET = "everywhere"


@pytest.fixture(scope="session", autouse=True)
def _stores() -> Iterator[None]:
    """Servers for the whole session, and stores on them for each home."""
    folder = Path(tempfile.mkdtemp(prefix="hatif-postgres-"))
    postgres, s3 = Postgres(folder), S3()
    postgres.start()
    s3.start()
    os.environ.update(s3.environment)
    client(s3).create_bucket(Bucket=_BUCKET)
    made: dict[Path, dict[str, str]] = {}

    def stores(home: Path) -> dict[str, str]:
        if home not in made:
            name = f"hatif-{uuid.uuid4().hex[:12]}"
            with postgres.session() as session:
                session.execute(f'CREATE DATABASE "{name}"')
            made[home] = {
                "catalog": f"postgres:{postgres.dsn(name)}",
                "lake": f"s3://{_BUCKET}/{name}",
            }
        return made[home]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "stores_of", stores)
        yield
    s3.stop()
    postgres.stop()
    shutil.rmtree(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of files."""
    left_out = [item for item in items if item.path.name in _OF_FILES]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
