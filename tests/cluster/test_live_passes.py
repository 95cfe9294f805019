"""Passes over webhook files on a catalog of a server, and lake in a bucket: each one commit."""

from __future__ import annotations

from pathlib import Path

from sync import live
from sync.live import Live, Report
from tests.cluster.conftest import Stores
from tests.cluster.test_maintenance import settings_of
from tests.warehouse.webhooks.conftest import line
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import scalar


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
                "SELECT count(*) FROM marts.message_facts",
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
    assert [report.broken for report in reports] == [[], []]
