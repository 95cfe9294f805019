"""The open lake: lent connections leave nothing open, and memory that lacked is given once more."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from hatif.errors import HomeError
from warehouse.errors import MemoryShort
from warehouse.lake import memory, opening
from warehouse.lake.connection import Lake
from warehouse.lake.home import make_home
from warehouse.lake.sql import scalar
from warehouse.settings.environment import Settings


def _write(lake: Lake) -> None:
    lake.write("note", lambda c: c.execute("INSERT INTO ops.home VALUES ('k', 'v')") and None)


def test_a_result_not_read_to_its_end_does_not_hold_the_catalogs_log(
    lake: Lake, settings: Settings
) -> None:
    """SQLite ends its log when nobody reads: a backup taken under the write lock needs that."""
    _write(lake)
    _write(lake)
    with lake.reading() as connection:
        assert connection.execute("FROM ops.home").fetchone() is not None
    _write(lake)
    left = [path.name for path in settings.home.iterdir() if path.name.endswith("-wal")]
    assert left == []


def test_what_was_begun_on_a_lent_connection_does_not_reach_the_next_reader(lake: Lake) -> None:
    with lake.reading() as connection:
        connection.execute("BEGIN")
        assert connection.execute("FROM ops.home WHERE key = 'k'").fetchall() == []
    _write(lake)
    with lake.reading() as connection:
        assert connection.execute("FROM ops.home WHERE key = 'k'").fetchall() == [("k", "v")]


def test_duckdb_shows_no_progress_on_the_callers_output(lake: Lake) -> None:
    """It would in `python -c`, which processes of pytest-xdist are, too."""
    for connection in (lake.reader(), lake._connection):
        ((is_shown,),) = connection.execute(
            "SELECT current_setting('enable_progress_bar')"
        ).fetchall()
        assert not is_shown


def test_a_connection_that_outlives_its_lake_is_closed_when_it_comes_back(
    settings: Settings, lake: Lake
) -> None:
    with Lake(settings, read_only=True) as other, other.reading() as connection:
        connection.execute("FROM ops.home").fetchone()
        other.close()
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")
    _write(lake)


def test_a_connection_is_not_lent_again_after_an_error(lake: Lake) -> None:
    with pytest.raises(duckdb.CatalogException), lake.reading() as connection:
        connection.execute("FROM nothing")
    with lake.reading() as other:
        assert other is not connection
        assert other.execute("SELECT 1").fetchall() == [(1,)]


def test_a_transaction_that_lacks_memory_is_tried_once_more_with_more(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Texts that wait in the catalog are read all at once; no smaller part would need less."""

    def work(connection: duckdb.DuckDBPyConnection) -> int:
        tries.append(1)
        long = "SELECT list(repeat('x', 1_000_000) || i::VARCHAR) AS texts FROM range(60) t(i)"
        found = connection.execute(f"SELECT len(texts) FROM ({long})").fetchone()
        return found[0] if found else 0

    tries: list[int] = []
    lake.write("limit", lambda c: c.execute("SET memory_limit = '40MB'") and None)
    assert lake.write("gather texts", work) == 60
    assert len(tries) == 2
    assert caplog.messages == ["gather texts: begun again with more memory"]
    lake.write("limit", lambda c: c.execute("SET memory_limit = '40MB'") and None)
    monkeypatch.setattr(memory, "_MOST", 42_000_000)
    monkeypatch.setattr(memory, "_FOR_CATALOG", 0)
    with pytest.raises(MemoryShort, match="the memory did not suffice"):
        lake.write("gather texts", work)
    assert len(tries) == 4


def test_two_processes_that_try_the_home_at_once_do_not_fail_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def touched(path: Path) -> None:
        touch(path)
        path.unlink()  # by the other process

    monkeypatch.setattr(Path, "touch", touched)
    make_home(tmp_path / "home")


def test_a_lake_that_is_opened_anew_goes_on(lake: Lake) -> None:
    with lake.reading() as lent:
        before = lent
    kept = lake.reader()
    lake.write("keep a value", lambda c: c.execute("CREATE TABLE wh.kept AS SELECT 1 AS one"))

    lake.reopen()

    with lake.reading() as connection:
        assert connection.execute("FROM wh.kept").fetchall() == [(1,)]
        assert connection is not before
    with pytest.raises(duckdb.Error):
        kept.execute("FROM wh.kept")
    lake.write("add another", lambda c: c.execute("INSERT INTO wh.kept VALUES (2)"))
    with lake.snapshot() as connection:
        assert connection.execute("SELECT sum(one) FROM wh.kept").fetchall() == [(3,)]


def test_a_lake_that_cannot_be_opened_anew_stays_as_it_was(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: no such catalog")

    with monkeypatch.context() as patched:
        patched.setattr(opening, "attach", fail)
        with pytest.raises(HomeError, match="cannot open the catalog"):
            lake.reopen()

    lake.write("keep a value", lambda c: c.execute("CREATE TABLE wh.kept AS SELECT 1 AS one"))
    with lake.reading() as connection:
        assert connection.execute("FROM wh.kept").fetchall() == [(1,)]


def test_a_memory_limit_is_raised_for_a_while_and_never_lowered(lake: Lake) -> None:
    def limit() -> int:
        with lake.reading() as connection:
            return scalar(
                connection, "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
            )

    before = limit()
    with lake.reading() as connection, memory.raised(connection, "300MB"):
        highest = limit()
        with memory.raised(connection, "200MB"):
            assert limit() == highest
        assert limit() == highest
    assert limit() == pytest.approx(before, rel=0.01)  # it is shown rounded
    assert before < 200_000_000 < highest
