"""``hatif maintain``: files and snapshots become fewer, and every table stays what it was."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from pipelines.definitions import build_defs
from tests.pipelines.conftest import HATIF, environment
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import MaintenanceReport, maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

TABLES = ("raw.records", "core.contacts", "core.messages", "ops.scans", "ops.hints")
_RECORDS = """
    INSERT INTO raw.records BY NAME
    SELECT {n} * 20 + range AS seq, 'contacts' AS stream, 'r' || seq AS record_id, 'upsert' AS op,
        '{{}}'::JSON AS payload, 'scan' || {n} AS scan_id, now() AS fetched_at FROM range(20)
"""
_CONTACTS = """
    INSERT INTO core.contacts BY NAME
    SELECT 'c' || {n} * 20 + range AS contact_id, 'name' AS name FROM range(20)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(home=tmp_path / "home", client_id="x", client_secret="y")


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    """A lake after many small syncs: each wrote, changed and deleted some rows."""
    with open_lake(settings) as lake:
        for n in range(15):
            lake.write("sync", lambda connection, n=n: _sync(connection, n))  # type: ignore[misc]
        yield lake


def _sync(connection: duckdb.DuckDBPyConnection, n: int) -> None:
    connection.execute(_RECORDS.format(n=n))
    connection.execute(_CONTACTS.format(n=n))
    connection.execute(f"UPDATE core.contacts SET name = 'new' WHERE contact_id = 'c{n * 10}'")
    connection.execute(f"DELETE FROM core.contacts WHERE contact_id = 'c{n * 10 + 1}'")


def contents(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    with lake.reading() as connection:
        return {
            table: connection.execute(f"SELECT t::VARCHAR FROM {table} t ORDER BY ALL").fetchall()
            for table in TABLES
        }


def age(settings: Settings, days: int) -> None:
    """Let everything in the catalog be older by so many days.

    In another process: SQLite's locks belong to the process (docs/architecture.md, rule 5).
    """
    program = """
import sqlite3, sys, re
from datetime import datetime, timedelta
catalog, days = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
for table, column, key in (("ducklake_snapshot", "snapshot_time", "snapshot_id"),
        ("ducklake_files_scheduled_for_deletion", "schedule_start", "data_file_id")):
    for number, text in catalog.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
        moment = datetime.fromisoformat(re.sub(r"\\+00$", "+00:00", text)) - timedelta(days=days)
        reported = moment.strftime("%Y-%m-%d %H:%M:%S.%f+00")
        catalog.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (reported, number))
catalog.commit()
"""
    subprocess.run(
        [sys.executable, "-c", program, settings.home / "catalog.sqlite", str(days)], check=True
    )


def test_after_many_small_syncs_files_and_snapshots_fall_and_every_table_is_the_same(
    lake: Lake, settings: Settings
) -> None:
    before = contents(lake)
    first = maintain(lake)
    assert (first.snapshots_expired, first.files_removed) == (0, 0)
    age(settings, days=40)

    second = maintain(lake)
    age(settings, days=3)
    third = maintain(lake)

    assert contents(lake) == before
    assert (third.rows_flushed, third.files_merged, third.files_rewritten) == (0, 0, 0)
    assert second.snapshots_expired > 15
    assert third.files_removed > 0
    assert third.files_after is not None
    assert third.files_after < first.files_after  # type: ignore[operator]
    assert third.snapshots_left < 12


def test_of_each_day_the_last_snapshot_stays_for_thirty_days(
    lake: Lake, settings: Settings
) -> None:
    with lake.reading() as connection:
        (last,) = connection.execute("SELECT max(snapshot_id) FROM wh.snapshots()").fetchone() or (
            None,
        )
        sql = f"SELECT count(*) FROM core.contacts AT (VERSION => {last})"
        then = connection.execute(sql).fetchone()
    age(settings, days=10)
    lake.write("sync", lambda connection: _sync(connection, 40))
    maintain(lake)
    age(settings, days=3)
    freed = maintain(lake)
    assert freed.snapshots_left < 20
    with lake.reading() as connection:
        assert connection.execute(sql).fetchone() == then


def test_a_reader_with_an_open_snapshot_goes_on(lake: Lake, settings: Settings) -> None:
    program = """
import sys
from pathlib import Path
from warehouse.settings.environment import Settings
from warehouse.lake.connection import Lake
with Lake(Settings.load(home=Path(sys.argv[1])), read_only=True) as lake:
    reader = lake.reader()
    reader.execute("BEGIN")
    print(reader.execute("SELECT count(*) FROM core.contacts").fetchone()[0], flush=True)
    input()
    print(reader.execute("SELECT count(*), count(name) FROM core.contacts").fetchone()[0])
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(settings.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin
        assert reader.stdout
        before = reader.stdout.readline()
        lake.write("sync", lambda connection: _sync(connection, 40))
        during = maintain(lake, patience=0)
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.read() == before
    assert (during.rows_flushed, during.files_merged) == (0, 0)
    assert during.steps_put_off > 0
    later = maintain(lake)
    assert (later.rows_flushed > 0, later.steps_put_off) == (True, 0)


def test_killed_at_any_instant_the_next_one_goes_on(lake: Lake, settings: Settings) -> None:
    before = contents(lake)
    lake.close()
    for seconds in random.Random(3).sample((0.05, 0.2, 0.4, 0.7, 1.1), 2):
        with subprocess.Popen(
            [HATIF, "maintain"], env=environment(settings), stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and not _holds(settings, process.pid):
                time.sleep(0.01)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
    with open_lake(settings) as again:
        assert contents(again) == before
        maintain(again)
        age(settings, days=40)
        maintain(again)
        assert contents(again) == before


def _holds(settings: Settings, pid: int) -> bool:
    return f'"pid": {pid},' in (settings.home / "write.lock").read_text()


def test_certificates_and_hints_that_nobody_needs_are_pruned(
    lake: Lake, settings: Settings
) -> None:
    now = datetime.now(UTC)

    def put(connection: duckdb.DuckDBPyConnection) -> None:
        for scan, days, parent in (
            ("scan3", 60, None),  # a stored version names it
            ("unneeded", 60, None),
            ("recent", 5, None),
            ("newest of its list", 60, "alone"),
        ):
            connection.execute(
                "INSERT INTO ops.scans BY NAME SELECT ? AS scan_id, 'contacts' AS stream, "
                "? AS parent_id, ? AS started_at, started_at AS finished_at, 'complete' AS verdict",
                [scan, parent, now - timedelta(days=days)],
            )
        connection.execute("INSERT INTO core.conversations (conversation_id) VALUES ('known')")
        for parent, days in (("known", 60), ("never came", 60), ("may come", 5)):
            connection.execute(
                "INSERT INTO ops.hints BY NAME "
                "SELECT 'timelines' AS stream, ? AS parent_id, ? AS hinted_at",
                [parent, now - timedelta(days=days)],
            )

    lake.write("put", put)
    freed = maintain(lake)
    assert (freed.scans_pruned, freed.hints_pruned) == (1, 1)
    with lake.reading() as connection:
        scans = connection.execute("SELECT scan_id FROM ops.scans ORDER BY 1").fetchall()
        hints = connection.execute("SELECT parent_id FROM ops.hints ORDER BY 1").fetchall()
    assert scans == [("newest of its list",), ("recent",), ("scan3",)]
    assert hints == [("known",), ("may come",)]


def test_the_asset_tells_what_was_freed(lake: Lake, settings: Settings) -> None:
    defs = build_defs(
        lake=dg.ResourceDefinition.hardcoded_resource(lake),
        settings=dg.ResourceDefinition.hardcoded_resource(settings),
    )
    with dg.instance_for_test() as instance:
        job = defs.resolve_job_def("maintenance")
        ended = job.execute_in_process(instance=instance)
        assert ended.success
        reported = ended.asset_materializations_for_node("ops__maintenance")[0].metadata
    assert MaintenanceReport().as_numbers().keys() | {"bytes_after"} <= reported.keys()
    assert reported["files_before"].value


def test_its_schedule_skips_a_home_without_a_lake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipelines.schedules import maintenance_schedule

    monkeypatch.setenv("HATIF_HOME", str(tmp_path))
    skipped = maintenance_schedule(dg.build_schedule_context())
    assert isinstance(skipped, dg.SkipReason)
    assert "there is no warehouse" in (skipped.skip_message or "")
