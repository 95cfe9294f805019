"""Statistics of tables that never held a row."""

from __future__ import annotations

from warehouse.lake import statistics
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, scalar
from warehouse.marts import refresh as marts
from warehouse.merge.messages import merge_all
from warehouse.settings.environment import Settings

_WITH = """
    FROM __ducklake_metadata_wh.ducklake_table_stats
    JOIN __ducklake_metadata_wh.ducklake_table t USING (table_id)
    WHERE t.end_snapshot IS NULL
"""


def test_every_table_of_a_new_home_has_statistics_and_no_row(lake: Lake) -> None:
    with lake.reading() as connection:
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = 'wh' ORDER BY ALL"
        ).fetchall()
        filled = [table for (table,) in tables if exists(connection, f"FROM wh.{table}")]
        # raw.records gets its own with its first row.
        assert scalar(connection, f"SELECT count(*) {_WITH}") == len(tables) - 1 > 40
    assert filled == ["ops.home"]
    assert not list((lake.home / "lake").rglob("*.parquet"))


def test_tables_of_an_older_home_get_them_and_keep_their_rows(lake: Lake) -> None:
    def work(connection) -> None:
        connection.execute(
            "CREATE TABLE wh.ops.empty (a DATE NOT NULL, b BOOLEAN NOT NULL, c JSON)"
        )
        connection.execute("CREATE TABLE wh.ops.full (a VARCHAR)")
        connection.execute("INSERT INTO wh.ops.full VALUES ('kept')")
        statistics.initialize(connection)

    lake.write("make tables", work)
    with lake.reading() as connection:
        assert (
            scalar(connection, f"SELECT count(*) {_WITH} AND table_name IN ('empty', 'full')") == 2
        )
        assert not exists(connection, "FROM ops.empty")
        assert connection.execute("FROM ops.full").fetchall() == [("kept",)]


def test_the_row_that_is_gone_shows_in_no_aggregate(lake: Lake) -> None:
    lake.write(
        "insert",
        lambda connection: connection.execute(
            "INSERT INTO ops.sightings (scan_id, pass, record_id) VALUES ('scan', 5, 't1')"
        ),
    )
    with lake.reading() as connection:
        found = connection.execute(
            "SELECT count(*), min(scan_id), min(pass), min(record_id) FROM ops.sightings"
        ).fetchone()
    assert found == (1, "scan", 5, "t1")


def test_tables_that_a_rebuild_leaves_empty_have_statistics(lake: Lake) -> None:
    merge_all(lake)
    marts.rebuild(lake, Settings.load(home=lake.home))
    without = f"""
        SELECT t.table_name FROM __ducklake_metadata_wh.ducklake_table t
        WHERE t.end_snapshot IS NULL AND table_id NOT IN (SELECT table_id {_WITH})
    """
    with lake.reading() as connection:
        assert connection.execute(without).fetchall() == [("records",)]
