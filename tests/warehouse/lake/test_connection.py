"""Connections that are lent for reading leave nothing open behind them."""

from __future__ import annotations

import duckdb
import pytest

from warehouse.lake.connection import Lake
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
