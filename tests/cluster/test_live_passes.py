"""Webhook files worked off within seconds, on a catalog of a server and a lake in a bucket."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from page.lake_reader import LakeReader
from pipelines.cli import main
from sync import live
from sync.live import Live, Report
from tests.cluster.conftest import Stores
from tests.cluster.test_maintenance import settings_of
from tests.pipelines.conftest import HATIF, environment
from tests.warehouse.webhooks.conftest import line
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import scalar

_FACTS = "SELECT count(*) FROM marts.message_facts"


def test_a_pass_is_one_commit(stores: Stores, tmp_path: Path) -> None:
    settings = settings_of(stores, tmp_path / "home")
    settings.webhook_directory.mkdir(parents=True)
    reports: list[Report] = []
    with open_lake(settings, inlined_rows=live.INLINED_ROWS) as lake:
        worker = Live(lake, settings, reports.append)

        def arrive(*numbers: int) -> tuple[int, int]:
            """Return the commits of a pass, and the messages there are after it."""
            counted = (
                "SELECT count(*) FROM wh.snapshots()",
                _FACTS,
            )
            with lake.reading() as connection:
                before = scalar(connection, counted[0])
            with (settings.webhook_directory / "a.ndjson").open("ab") as file:
                file.writelines(line(number) + b"\n" for number in numbers)
            worker.step()
            worker._check_at = float("inf")
            with lake.reading() as connection:
                commits, messages = (scalar(connection, sql) for sql in counted)
            return commits - before, messages

        assert arrive(1)[1] == 1
        assert arrive(2, 3) == (1, 3)
        lake.reopen()
        assert arrive(4) == (1, 4)
    assert [report.broken for report in reports] == [[], [], []]


def test_the_process_the_page_and_the_rejects_work_on_servers(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(stores, tmp_path / "home")
    settings.webhook_directory.mkdir(parents=True)
    with open_lake(settings):
        pass
    reader = LakeReader(settings)
    variables = {"HATIF_HOME": str(settings.home), "HATIF_LAKE": stores.lake}
    variables |= {"HATIF_CATALOG": stores.catalog}
    process = subprocess.Popen(
        [HATIF, "live", "--reports"],
        env=environment(None, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2):
            unfinished = settings.webhook_directory / f"{number}.part"
            unfinished.write_bytes(line(number) + b"\n{no JSON}\n")
            unfinished.rename(unfinished.with_suffix(".ndjson"))
            report = json.loads(process.stdout.readline())
            assert (report["deliveries"], report["broken"]) == (1, [])
            assert reader.read(lambda c, _: c.execute(_FACTS).fetchall()) == [(number,)]
        process.stdin.close()
        assert process.wait() == 0
    reader.close()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for words, status, shown in (("list", 0, "bad_json"), ("replay", 1, "1 still set aside")):
        done = CliRunner().invoke(main, ["rejects", words])
        assert (done.exit_code, shown in done.output) == (status, True), done.output
