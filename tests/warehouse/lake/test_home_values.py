"""Single values that a home keeps: replaced whole, read alone, removed without complaint."""

from __future__ import annotations

import duckdb
import pytest

from warehouse.lake.sql import forget_home_values, home_value, keep_home_values


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """A table as ``ops.home`` is, without a lake around it."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA ops; CREATE TABLE ops.home (key VARCHAR, value VARCHAR)")
    return connection


def test_a_value_kept_again_replaces_the_one_before(connection: duckdb.DuckDBPyConnection) -> None:
    keep_home_values(connection, {"clock": "1", "merge": "it's"})
    keep_home_values(connection, {"clock": "2"})
    assert home_value(connection, "clock") == "2"
    assert home_value(connection, "merge") == "it's"
    assert connection.execute("SELECT count(*) FROM ops.home").fetchall() == [(2,)]


def test_a_value_never_kept_or_forgotten_or_null_is_none(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    keep_home_values(connection, {"marts": "1"})
    connection.execute("INSERT INTO ops.home VALUES ('rates', NULL)")
    forget_home_values(connection, "marts", "never")
    keys = ("marts", "rates", "never")
    assert [home_value(connection, key) for key in keys] == [None, None, None]
