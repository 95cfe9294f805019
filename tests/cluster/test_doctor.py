"""`hatif doctor` tries all that a sync needs of a server and a bucket."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipelines.cli import main
from tests.cluster.conftest import Stores
from tests.cluster.proxies import S3Proxy
from warehouse.lake.schema import open_lake
from warehouse.reports import stores as reports
from warehouse.settings.environment import Settings


def findings(monkeypatch: pytest.MonkeyPatch, home: Path, **settings: str) -> dict[str, list[str]]:
    """Run the doctor; return status and text by check."""
    monkeypatch.setenv("HATIF_HOME", str(home))
    monkeypatch.setenv("HATIF_BASE_URL", "http://127.0.0.1:9")
    for field, value in settings.items():
        monkeypatch.setenv(f"HATIF_{field.upper()}", value)
    done = CliRunner().invoke(main, ["doctor", "--json", "--no-probe"])
    found = json.loads(done.stdout)["findings"]
    return {one["check"]: [one["status"], one["says"]] for one in found}


def test_the_doctor_tries_the_database_a_lock_and_the_bucket(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stores.postgres.session() as session:
        session.execute(f'ALTER DATABASE "{stores.database}" SET statement_timeout = 90000')
    before = findings(monkeypatch, tmp_path / "home", **stores.settings)
    assert before["database limits"] == [
        "warning",
        "what takes longer is ended: statement_timeout = 90000ms",
    ]
    assert before["database"][0] == before["locks"][0] == before["bucket"][0] == "ok"
    assert before["catalog"] == ["ok", "there is none yet; the first sync makes it"]
    assert stores.objects() == {}
    with open_lake(Settings.load(home=tmp_path / "home", **stores.settings)) as lake:
        after = findings(monkeypatch, tmp_path / "home", **stores.settings)
        assert after["catalog"][0] == "ok"
        assert after["write.lock"] == ["ok", "no process writes"]
        with lake.store.locks.exclusive("write.lock", "a test"):
            held = findings(monkeypatch, tmp_path / "home", **stores.settings)
    assert held["locks"][1].startswith("write.lock is held by a test (")
    assert held["write.lock"][1].startswith("held: a test (")


def test_the_doctor_names_what_a_server_or_bucket_refuses(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = findings(
        monkeypatch,
        tmp_path / "home",
        catalog=f"{stores.catalog} user=nobody password=w%ord",
        lake="s3://no-such-bucket/lake",
    )
    assert found["database"][0] == found["bucket"][0] == "failed"
    assert "user nobody" in found["database"][1]
    assert "there is no bucket no-such-bucket" in found["bucket"][1]
    assert "w%ord" not in str(found)


@pytest.mark.parametrize(
    ("step", "trouble"),
    [
        ("PUT .hatif-probe", (403, "AccessDenied")),
        ("POST uploadId", "lost"),  # the object is there all the same
        ("GET .hatif-probe", (403, "AccessDenied")),
        ("POST ?delete", (403, "AccessDenied")),
        ("POST ?delete", "lost"),
    ],
)
def test_the_doctor_leaves_nothing_in_the_bucket_whichever_step_fails(
    stores: Stores,
    proxy: S3Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    trouble: Any,
) -> None:
    method, part = step.split()
    proxy.trouble = lambda *seen: trouble if seen[0] == method and part in seen[1] else None
    assert findings(monkeypatch, tmp_path / "home", **stores.settings)["bucket"][0] == "failed"
    is_denied = step == "POST ?delete" and trouble != "lost"
    assert len(stores.objects()) == is_denied
    # What could not be removed then, is when it can.
    proxy.trouble = lambda *_: None
    monkeypatch.setattr(reports, "_LONGEST", timedelta(hours=-1))
    assert findings(monkeypatch, tmp_path / "home", **stores.settings)["bucket"][0] == "ok"
    assert stores.objects() == {}
