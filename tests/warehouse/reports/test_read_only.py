"""A home on a read-only medium is read by what only reads, and left as it is.

Tried on a real one too (a tmpfs mounted read-only); here the system's answers are put in its place.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hatif.errors import HomeError
from pipelines.doctor import examine
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.reports.publish import publish
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of 50 contacts."""
    settings = Settings.load(home=tmp_path_factory.mktemp("medium") / "home")
    rows = "SELECT 'c' || range AS contact_id FROM range(50)"
    with open_lake(settings) as lake:
        sql = f"INSERT INTO core.contacts BY NAME {rows}"
        lake.write("fill", lambda connection: connection.execute(sql))
    return settings


@pytest.fixture
def settings(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same home, which the system now lets no program write to."""
    opened = os.open

    def refusing(path: str, flags: int, *args: int, **more: int) -> int:
        writes = flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT)
        if writes and str(path).startswith(str(filled.home)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *args, **more)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(Path, "touch", refuse)
    return filled


def _listed(home: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in home.rglob("*"))


def test_what_only_reads_works_and_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    before = _listed(settings.home)
    with Query(settings, "SELECT count(*) AS n FROM contacts") as query:
        assert [batch.to_pylist() for batch in query.batches()] == [[{"n": 50}]]
    found = publish(settings, tmp_path / "copy.duckdb", None)
    assert {"core.contacts": 50}.items() <= {one.name: one.rows for one in found.tables}.items()
    assert _listed(settings.home) == before


def test_what_writes_says_what_still_works_there(settings: Settings) -> None:
    with pytest.raises(HomeError, match=r"read-only\. Make it writable; query, status"):
        Lake(settings)


def test_the_doctor_still_examines_the_catalog_and_advises_no_change_of_owner(
    settings: Settings,
) -> None:
    report = examine(settings, probe=False, deep=True)
    assert report.usage_is_wrong
    found = {finding.check: finding for finding in report.findings}
    assert "chown" not in f"{found['home'].text} {found['home'].advice}"
    assert (found["catalog"].status, found["files"].status) == ("ok", "ok")
