"""Checks that passed are not made again until a table of theirs changes, or loses a file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import duckdb
import pytest

from hatif.streams import STREAMS
from sync import checks, live, proven, stream_checks
from sync.run import compute
from tests.clocks import set_clock
from tests.template import make_home
from tests.warehouse.batches import batch
from tests.warehouse.webhooks.conftest import line
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import keep_home_values
from warehouse.marts import tie_outs
from warehouse.models.model import Model, model
from warehouse.records.loader import Loader
from warehouse.reports import status
from warehouse.settings.environment import Settings


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with deliveries, all of whose checks passed."""
    home = tmp_path_factory.mktemp("checked") / "home"
    settings = Settings.load(home=home)
    make_home(settings)
    settings.webhook_directory.mkdir(parents=True)
    (settings.webhook_directory / "a.ndjson").write_bytes(line(1) + b"\n" + line(2) + b"\n")
    with open_lake(settings, inlined_rows=live.INLINED_ROWS) as lake:
        assert compute(lake, settings, files=True).broken == []
        Compaction(lake, 1.0).tidy()
        _made(lake)
    return home


@pytest.fixture
def settings(checked: Path, tmp_path: Path) -> Settings:
    """A copy of that home."""
    shutil.copytree(checked, tmp_path / "home")
    return Settings.load(home=tmp_path / "home")


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    with open_lake(settings) as lake:
        yield lake


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that were queried."""
    found: list[str] = []
    wrong = tie_outs.wrong

    def counted(connection: duckdb.DuckDBPyConnection, one: tie_outs.TieOut) -> int:
        found.append(one.name)
        return wrong(connection, one)

    monkeypatch.setattr(tie_outs, "wrong", counted)
    return found


def _double(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"INSERT INTO {table} FROM {table}")


def _made(lake: Lake) -> list[str]:
    """Make the checks of merged tables and marts; return the failures."""
    results = [*checks.merged_results(lake), *checks.mart_results(lake)]
    assert len(results) == len(checks.checks_of_merged()) + len(checks.checks_of_marts())
    return [result.name for result in results if result.is_error]


def test_while_no_table_changes_only_what_reads_the_clock_or_ops_is_asked(
    lake: Lake, made: list[str]
) -> None:
    lasting = {one.name for one in tie_outs.lasting()}
    assert _made(lake) == []
    assert made
    assert not lasting & set(made)
    assert len(lasting) > 30


def test_a_changed_table_is_checked_again_and_a_failure_is_found_until_it_is_mended(
    lake: Lake, made: list[str]
) -> None:
    for table, name in (
        ("marts.conversation_state", "conversation_state_rows_are_unique"),
        ("core.messages", "rows_are_unique"),
    ):
        lake.write("double", partial(_double, table=table))
        assert name in _made(lake)
        assert name in _made(lake)
    assert {one.name for one in tie_outs.lasting()} <= set(made)


def test_a_file_that_is_lost_or_cut_short_is_found_although_nothing_changed(
    lake: Lake, settings: Settings
) -> None:
    (file,) = Path(settings.lake_path).rglob("conversation_sessions/*.parquet")
    content = file.read_bytes()
    for left in (None, content[:-10]):
        file.unlink(missing_ok=True)
        if left is not None:
            file.write_bytes(left)
        with pytest.raises(duckdb.Error):
            checks.mart_results(lake)


def test_once_a_day_everything_is_checked(
    lake: Lake, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    set_clock(monkeypatch, proven, time=lambda: now + 86_401)
    _made(lake)
    assert {one.name for one in tie_outs.lasting()} <= set(made)


def test_long_checks_rest_while_small_changes_come_in(
    lake: Lake, settings: Settings, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proven, "_SHORT", -1.0)
    monkeypatch.setattr(proven, "_REST", 1e9)
    (settings.webhook_directory / "a.ndjson").write_bytes(line(3) + b"\n")
    compute(lake, settings, files=True)
    assert not {one.name for one in tie_outs.lasting()} & set(made)
    monkeypatch.setattr(proven, "_REST", 0)
    _made(lake)
    assert {one.name for one in tie_outs.lasting()} <= set(made)


@pytest.mark.parametrize(
    "kept", ["{}", "no JSON", '{"snapshot": 1, "at": 0, "by": "a later version"}']
)
def test_what_another_version_kept_only_makes_the_checks_again(
    lake: Lake, made: list[str], kept: str
) -> None:
    lake.write("another version", lambda c: keep_home_values(c, {"passed marts": kept}))
    assert all(one.message is None for one in checks.mart_results(lake))
    assert {one.name for one in tie_outs.lasting()} <= set(made)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The tables whose keys were looked at, and whether all of their rows were."""
    found: list[tuple[str, bool]] = []
    duplicates = status.duplicates

    def counted(connection: duckdb.DuckDBPyConnection, model: Model, where: str = "true") -> int:
        found.append((model.table, where == "true"))
        return duplicates(connection, model, where)

    monkeypatch.setattr(status, "duplicates", counted)
    return found


def _doubled(lake: Lake) -> set[str]:
    """Make the checks of all streams; return the tables with doubled keys."""
    results = stream_checks.results_of_streams(lake, list(STREAMS))
    for stream, made in results.items():
        assert [one.key for one in made[1:]] == [
            one.key for one in stream_checks.checks_of_stream(stream)
        ]
    return {
        one.table[1]
        for made in results.values()
        for one in made
        if one.name == "rows_are_unique" and one.is_error
    }


def _store(lake: Lake, *tags: str) -> None:
    contents = [f'{{"id":"{tag}","name":"x"}}'.encode() for tag in tags]
    Loader(lake, "run").load(batch("tags", None, *contents))


def test_of_the_streams_only_the_tables_that_changed_are_looked_at_again(
    lake: Lake, looked_at: list[tuple[str, bool]]
) -> None:
    assert _doubled(lake) == set()
    views = {table for table, _ in looked_at if model(table).is_view}
    looked_at.clear()
    _store(lake, "a")
    assert _doubled(lake) == set()
    assert {table for table, _ in looked_at} - views == {"core.tags"}


def test_of_a_large_table_only_keys_of_later_records_are_looked_at(
    lake: Lake, looked_at: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_checks, "LARGE", 1)
    _store(lake, "a", "b")
    assert _doubled(lake) == set()
    looked_at.clear()
    _store(lake, "c")
    assert _doubled(lake) == set()
    assert ("core.tags", False) in looked_at
    assert ("core.tags", True) not in looked_at


@pytest.mark.parametrize("large", [1, 200_000])
def test_a_key_doubled_since_the_last_check_is_found_until_it_is_mended(
    lake: Lake, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_checks, "LARGE", large)
    _store(lake, "a", "b")
    assert _doubled(lake) == set()
    _store(lake, "c")
    lake.write("double", partial(_double, table="core.tags"))
    assert _doubled(lake) == {"tags"}
    assert _doubled(lake) == {"tags"}
    lake.write("mend", lambda c: c.execute("DELETE FROM core.tags"))
    assert _doubled(lake) == set()


def test_once_a_day_the_keys_of_all_rows_are_looked_at(
    lake: Lake, looked_at: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _doubled(lake)
    looked_at.clear()
    now = time.time()
    set_clock(monkeypatch, proven, time=lambda: now + 86_401)
    _doubled(lake)
    assert ("core.timeline_events", True) in looked_at
