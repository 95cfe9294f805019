"""``hatif query`` reads the warehouse and reaches nothing else, however a statement is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import QueryRefused
from warehouse.lake import functions
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.reports.guard import checked, shut
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings

REFUSED = (
    "FROM ducklake_cleanup_old_files/**/('wh', cleanup_all => true)",
    "FROM \"ducklake_cleanup_old_files\"('wh', cleanup_all => true)",
    "FROM DuckLake_Expire_Snapshots('wh', versions => [1])",
    "FROM wh.set_option('x', '1')",
    "FROM query('FROM duck' || 'lake_snapshots(''wh'')')",
    "FROM query_table('tags')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "FROM enable_logging(storage => 'file', storage_path => 'logs')",
    "SELECT (SELECT count(*) FROM read_text('/etc/hostname'))",
    "WITH x AS (FROM read_blob('/etc/hostname')) FROM x",
    "SELECT 1 WHERE EXISTS (FROM glob('/etc/*'))",
    "FROM read_csv_auto('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM parquet_metadata('x')",
    "FROM sqlite_scan('catalog.sqlite', 'ducklake_metadata')",
    "FROM __ducklake_metadata_wh.ducklake_metadata",
    'FROM "__DuckLake_metadata_wh"."ducklake_snapshot"',
    "FROM duckdb_databases()",
    "FROM duckdb_databases",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM pg_catalog.pg_settings",
    "FROM pg_settings",
    "PRAGMA database_list",
    "FROM pragma_database_list",
    "SHOW variables",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT write_log('x')",
    "SELECT list_transform([1], x -> current_setting('threads'))",
    "EXPLAIN ANALYZE FROM enable_logging()",
    "EXPLAIN /* */ ANALYZE COPY (SELECT 1) TO 'x'",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "CALL enable_logging()",
    "CREATE MACRO x() AS TABLE SELECT 1",
    "SET VARIABLE x = 1",
    "FROM read_duckdb('x')",
    "SUMMARIZE (FROM read_text('x'))",
    "DESCRIBE 'file.csv/x'",
    "FROM checkpoint()",
    "SELECT 1; SELECT 2",
)
ACCEPTED = (
    "FROM tags",
    "SELECT count(*) FILTER (name = 'x') OVER () FROM core.tags t JOIN ops.scans s ON false",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) FROM n",
    "SELECT unnest(range(3)), random() < 2, now() IS NULL, 'a' || lower('B')",
    "SELECT * FROM json_each('{\"a\": 1}'), range(3)",
    "PIVOT (VALUES ('a', 1)) t(k, v) ON k IN ('a') USING sum(v)",
    "SELECT phone_e164('0501234567')",
    "FROM wh.snapshots()",
    "FROM ducklake_table_info('wh')",
    "FROM core.tags AT (VERSION => 1)",
    "DESCRIBE tags",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SUMMARIZE tags",
    "EXPLAIN ANALYZE FROM tags",
    "EXPLAIN (FORMAT json) FROM tags",
    "FROM information_schema.tables",
    "FROM duckdb_columns()",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home that no test changes."""
    settings = Settings.load(home=tmp_path_factory.mktemp("read") / "home")
    with open_lake(settings):
        return settings


@pytest.fixture(scope="module")
def reader(home: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with Lake(home, read_only=True) as lake, lake.reading() as connection:
        yield connection


@pytest.mark.parametrize("sql", REFUSED)
def test_what_reaches_beyond_the_warehouse_is_refused(
    home: Settings, reader: duckdb.DuckDBPyConnection, sql: str
) -> None:
    with pytest.raises((QueryRefused, duckdb.ParserException)):
        checked(reader, sql)
    assert [path.name for path in home.home.parent.iterdir()] == ["home"]


@pytest.mark.parametrize(
    "sql",
    [
        "PIVOT tags ON name USING count(*)",
        "WITH p AS (PIVOT tags ON name, icon USING count(*)) FROM p",
        "EXPLAIN PIVOT tags ON name USING count(*)",
        "PIVOT (FROM read_text('/etc/hostname')) ON content USING count(*)",
    ],
)
def test_a_pivot_without_values_is_refused_with_the_form_that_is_accepted(
    reader: duckdb.DuckDBPyConnection, sql: str
) -> None:
    with pytest.raises(QueryRefused, match=r"ON column IN \('a', 'b'\)"):
        checked(reader, sql)


def test_what_reads_the_warehouse_is_answered_by_a_connection_that_is_shut(
    home: Settings,
) -> None:
    with Lake(home, read_only=True) as lake, lake.reading() as connection:
        connection.execute("SET search_path = 'wh.core,wh.ops,memory.main'")
        functions.register(connection)  # as a query does that names one
        shut(connection, lake.catalog)
        for sql in ACCEPTED:
            assert len(connection.execute(checked(connection, sql)).fetchall()) >= 0


def test_a_query_can_call_our_functions_of_phone_numbers(home: Settings) -> None:
    with Query(home, "SELECT PHONE_E164('0501234567') AS number") as query:
        assert [batch.to_pylist() for batch in query.batches()] == [[{"number": "+966501234567"}]]


def test_a_query_finds_tables_without_their_schema(home: Settings) -> None:
    with Query(home, "SELECT count(*) AS n FROM tags") as query:
        assert [batch.to_pylist() for batch in query.batches()] == [[{"n": 0}]]


def test_even_an_unchecked_statement_reaches_no_file_but_the_lakes(
    lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    connection = lake.reader()
    lake.write(
        "fill",
        lambda c: c.execute(
            "INSERT INTO core.contacts BY NAME SELECT 'c' || range AS contact_id FROM range(50)"
        ),
    )
    shut(connection, lake.catalog)
    for sql in (f"FROM read_text('{tmp_path}/letter.txt')", "COPY (SELECT 1) TO 'x.csv'"):
        with pytest.raises(duckdb.PermissionException):
            connection.execute(sql)
    with pytest.raises(duckdb.InvalidInputException):
        connection.execute("SET enable_external_access = true")
    found = connection.execute("SELECT max(length(contact_id)) FROM core.contacts").fetchone()
    assert found == (3,)
