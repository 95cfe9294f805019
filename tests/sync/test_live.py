"""Webhook files worked off as they come, and what is left to a run or to a quiet moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import duckdb
import pytest

from hatif.webhooks import units
from hatif.webhooks.sources import place_of
from sync import live, run
from sync.live import Live, Report
from sync.run import compute
from tests.template import make_home
from tests.warehouse.webhooks.conftest import line
from warehouse.lake import memory, staging
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import scalar
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest


class _World:
    """A home with a process that works off its files, and what that reported."""

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self.lake = lake
        self.settings = settings
        self.reports: list[Report] = []
        self.live = Live(lake, settings, self.reports.append)
        self.folder = settings.webhook_directory
        self.folder.mkdir(parents=True)

    def drop(self, name: str, *numbers: int) -> None:
        with (self.folder / name).open("ab") as file:
            file.writelines(line(number) + b"\n" for number in numbers)

    def messages(self) -> int:
        with self.lake.reading() as connection:
            return scalar(connection, "SELECT count(*) FROM marts.message_facts")

    def deliveries(self) -> int:
        return sum(report.deliveries for report in self.reports)


@pytest.fixture
def world(settings: Settings) -> Iterator[_World]:
    make_home(settings)
    with open_lake(settings, inlined_rows=live.INLINED_ROWS) as lake:
        yield _World(lake, settings)


def test_what_arrives_is_in_the_marts_after_one_look_and_costs_nothing_after_that(
    world: _World,
) -> None:
    world.drop("a.ndjson", 1, 2)
    world.live.step()
    assert (world.messages(), world.deliveries()) == (2, 2)
    world.live.step()
    assert len(world.reports) == 1


def test_a_file_that_grows_is_read_on_and_a_delivery_that_comes_again_counts_once(
    world: _World,
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    world.drop("a.ndjson", 1, 2)
    world.drop("b.ndjson", 2)
    world.live.step()
    assert (world.messages(), world.deliveries()) == (2, 2)


def test_it_and_a_run_beside_it_end_in_the_same_tables(world: _World) -> None:
    for number in range(6):
        world.drop(f"{number % 2}.ndjson", number)
        if number % 3 == 0:
            compute(world.lake, world.settings, files=True)
        elif number % 3 == 1:
            ingest(world.lake, place_of(str(world.folder)), world.settings.secrets)
        world.live.step()
    assert world.messages() == 6


def _snapshots(lake: Lake) -> int:
    with lake.reading() as connection:
        return scalar(connection, "SELECT count(*) FROM wh.snapshots()")


def test_a_pass_over_few_deliveries_is_one_transaction(world: _World) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()  # brings up to date what another version left
    world.live._check_at = float("inf")
    before = _snapshots(world.lake)
    world.drop("a.ndjson", 2, 3)
    world.live.step()
    assert (_snapshots(world.lake) - before, world.messages()) == (1, 3)


def test_what_is_too_much_for_a_pass_waits_for_the_next_ones(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is one transaction, and goes on where the one before stopped; nothing is left over."""
    world.drop("a.ndjson", 1)
    world.live.step()
    world.live._check_at = float("inf")
    monkeypatch.setattr(units, "_CHUNK", 2 * len(line(2)))
    monkeypatch.setattr(live, "_JOINED", 3 * len(line(2)))
    before = _snapshots(world.lake)
    world.drop("b.ndjson", *range(2, 12))
    world.drop("c.ndjson", 12, 13)
    brought = []
    while len(brought) < 9:
        world.live.step()
        brought.append(world.messages())
        if len(brought) == 1:
            world.drop("b.ndjson", 14)  # it grows meanwhile
    passes = _snapshots(world.lake) - before
    assert brought[0] < brought[1] < brought[-1] == world.deliveries() == 14
    assert 3 <= passes <= 6
    world.live.step()
    assert _snapshots(world.lake) - before == passes


@pytest.mark.parametrize("stage", ["merge", "ingest"])
def test_a_pass_that_is_refused_as_a_whole_keeps_nothing_and_is_made_in_parts(
    world: _World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    world.live._check_at = float("inf")
    done, tries = getattr(run, stage), iter(range(9))

    def refused(lake: Lake, *given: object, **named: object) -> object:
        found = done(lake, *given, **named)
        if next(tries) == 0:
            lake.write("fail", _fail)
        return found

    monkeypatch.setattr(run, stage, refused)
    world.drop("a.ndjson", 2)
    world.live.step()
    assert (world.messages(), world.deliveries()) == (2, 2)
    assert world.reports[-1].broken == []


def _fail(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SELECT 'x'::INTEGER")


@pytest.mark.parametrize("most", [0, 5_000])
def test_what_others_marked_is_computed_by_the_next_pass_whether_it_is_much_or_little(
    world: _World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    world.live._check_at = float("inf")
    monkeypatch.setattr(staging, "_MOST", most)
    world.lake.write(
        "spoil a mart and mark it",
        lambda c: [
            c.execute("DELETE FROM marts.conversation_state"),
            c.execute(
                "INSERT INTO ops.outdated SELECT DISTINCT 'marts', 'conversation', conversation_id "
                "FROM core.messages UNION SELECT 'marts', 'conversation', chr(0)"
            ),
        ],
    )
    world.drop("a.ndjson", 2)
    world.live.step()
    with world.lake.reading() as connection:
        states = scalar(connection, "SELECT count(*) FROM marts.conversation_state")
        talks = scalar(connection, "SELECT count(DISTINCT conversation_id) FROM core.messages")
        assert (states, scalar(connection, "SELECT count(*) FROM ops.outdated")) == (talks, 0)


def test_a_delivery_that_cannot_be_read_stops_none_of_its_neighbours(world: _World) -> None:
    (world.folder / "a.ndjson").write_bytes(line(1) + b"\n{\n" + line(2) + b"\n")
    world.live.step()
    assert (world.messages(), world.reports[-1].rejects) == (2, 1)


def test_whole_tables_are_checked_in_a_quiet_moment_and_a_doubled_row_is_found(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    assert world.reports[-1].results == []
    monkeypatch.setattr(live, "_QUIET", 0.0)
    world.live.step()
    checked = world.reports[-1]
    assert len(checked.results) > 50
    assert all(result.message is None for result in checked.results if not result.loses_nothing)
    assert checked.rows["core.messages"] == checked.rows["raw.webhook_events"] == 1

    double = (
        "INSERT INTO marts.conversation_state SELECT s.* REPLACE ('x' AS conversation_id) "
        "FROM marts.conversation_state s, range(2)"
    )
    world.lake.write("double a row", lambda connection: connection.execute(double))
    world.live._check_at = 0.0
    world.drop("a.ndjson", 2)
    world.live.step()
    world.live.step()
    assert any("conversation_state_rows_are_unique" in why for why in world.reports[-1].broken)


def test_a_doubled_message_keeps_its_conversation_out_of_the_marts_in_any_pass(
    world: _World,
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    world.lake.write(
        "double a row", lambda c: c.execute("INSERT INTO core.messages FROM core.messages")
    )
    world.lake.write(
        "mark",
        lambda c: c.execute(
            "INSERT INTO ops.outdated SELECT 'marts', 'conversation', conversation_id "
            "FROM core.messages"
        ),
    )
    world.drop("a.ndjson", 2)
    world.live.step()
    assert world.reports[-1].broken == ["messages: the check rows_are_unique failed"]
    with world.lake.reading() as connection:
        counted = "SELECT sum(outbound_messages) FROM marts.conversation_sessions"
        assert scalar(connection, counted) == 1


def test_a_lost_file_of_the_lake_is_reported_and_the_files_are_tried_again(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("a.ndjson", 1)
    world.live.step()
    monkeypatch.setattr(live, "_TIDY_EVERY", 0.0)
    monkeypatch.setattr(live, "_QUIET", 1e9)
    world.live._tidy_at = 0.0
    world.live.step()
    lost = {file: file.read_bytes() for file in Path(world.settings.lake_path).rglob("*.parquet")}
    for file in lost:
        if "message_statuses" in str(file):
            file.unlink()
    world.drop("a.ndjson", 2)
    world.live.step()
    assert world.reports[-1].broken
    for file, content in lost.items():
        file.write_bytes(content)
    world.live.step()
    assert (world.reports[-1].broken, world.messages()) == ([], 2)


def test_rows_of_small_passes_wait_in_the_catalog_and_are_moved_together(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files() -> int:
        return sum(1 for _ in Path(world.settings.lake_path).rglob("*.parquet"))

    before = files()
    for number in range(3):
        world.drop("a.ndjson", *range(40 * number, 40 * number + 40))
        world.live.step()
    assert files() == before
    world.live._tidy_at = 0.0
    world.live.step()
    assert 0 < files() - before < 40
    assert world.messages() == 120
    with world.lake.reading() as connection:
        waiting = "SELECT sum(rows_flushed) FROM ducklake_flush_inlined_data('wh')"
        assert scalar(connection, waiting) == 0


def test_the_lake_is_opened_anew_where_its_cache_has_grown_and_ids_stay_known(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached() -> int:
        with world.lake.reading() as connection:
            return memory.cached_bytes(connection)

    known = world.live._known
    for number in range(3):
        known.deliveries.cost = known.messages.cost = 0.0
        world.drop("a.ndjson", number)
        world.live.step()
    assert known.messages.is_remembered
    before = cached()
    assert before > 0

    world.live._tidy_at = 0.0
    world.live.step()
    assert cached() >= before
    monkeypatch.setattr(live, "_MOST_CACHED", 0)
    world.drop("a.ndjson", 3)
    world.live._tidy_at = 0.0
    world.live.step()

    assert cached() < before
    world.drop("a.ndjson", 1, 4)
    world.live.step()
    assert (world.messages(), world.deliveries()) == (5, 5)
    assert known.messages.is_remembered
    assert not any(report.broken for report in world.reports)


def test_many_rows_are_moved_at_once_and_where_somebody_reads_soon_after(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_UNTIDY", 3)
    monkeypatch.setattr(live, "_TIDY_AGAIN", 0.0)
    waiting = "SELECT sum(rows_flushed) FROM ducklake_flush_inlined_data('wh')"
    with Lake(world.settings, read_only=True):
        world.drop("a.ndjson", 1, 2, 3)
        world.live.step()
        assert world.live._untidy == 3
    world.live.step()
    assert world.live._untidy == 0
    with world.lake.reading() as connection:
        assert scalar(connection, waiting) == 0
    assert world.messages() == 3


def test_it_ends_when_another_version_has_changed_the_tables(world: _World) -> None:
    def change(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("UPDATE ops.home SET value = 'later' WHERE key = 'schema'")

    world.lake.write("change the tables", change)
    world.drop("a.ndjson", 1)
    world.live.run(Event())
    assert (world.live.is_superseded, world.reports) == (True, [])


def test_a_large_backlog_is_left_to_a_run_for_a_while(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Live(world.lake, world.settings, world.reports.append, leaves_backlog=True)
    monkeypatch.setattr(live, "BACKLOG", 1_000)
    world.drop("a.ndjson", *range(10))
    worker.step()
    assert (world.reports[-1].backlog > 1_000, world.messages()) == (True, 0)

    now = time.monotonic()
    later = SimpleNamespace(monotonic=lambda: now + 200, process_time=time.process_time)
    monkeypatch.setattr(live, "time", later)
    worker.step()
    assert world.messages() == 10


def test_what_a_run_has_read_is_no_backlog(world: _World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Live(world.lake, world.settings, world.reports.append, leaves_backlog=True)
    monkeypatch.setattr(live, "BACKLOG", 1_000)
    world.drop("a.ndjson", *range(10))
    compute(world.lake, world.settings, files=True)
    worker.step()
    assert [report.backlog for report in world.reports] == [0]


def test_a_folder_that_cannot_be_listed_is_reported(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Iterator[None]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(world.live._place, "files", fail)
    assert world.live.step() > 10
    (why,) = world.reports[-1].broken
    assert "this user may not open it" in why
