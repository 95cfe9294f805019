"""What a query may see of a catalog on a server: its tables, and nothing of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Stores
from warehouse.errors import QueryRefused
from warehouse.lake.schema import open_lake
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings

_REFUSED = (
    "FROM duckdb_databases()",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
    "FROM duckdb_settings()",
    "FROM pragma_database_list()",
    "FROM postgres_query('__ducklake_metadata_wh', 'SELECT 1')",
    "FROM postgres_scan('host=127.0.0.1 password=w%ord', 'public', 'x')",
    "FROM postgres_scan_pushdown('host=127.0.0.1', 'public', 'x')",
    "CALL postgres_execute('__ducklake_metadata_wh', 'SELECT 1')",
    "CALL postgres_attach('host=127.0.0.1')",
    "FROM pg_clear_cache()",
    "FROM __ducklake_metadata_wh.ducklake_snapshot",
    "FROM __ducklake_metadata_wh.public.hatif_locks",
    "FROM pg_catalog.pg_database",
    "ATTACH 'host=127.0.0.1' AS x (TYPE postgres)",
    "SET s3_endpoint = 'x'",
    "CREATE SECRET x (TYPE s3)",
    "FROM 's3://everywhere/x.parquet'",
    "FROM read_text('s3://everywhere/x')",
    "FROM glob('s3://everywhere/**')",
    "EXPLAIN FROM duckdb_databases()",
    "SELECT getenv('AWS_SECRET_ACCESS_KEY')",
    "SELECT current_setting('s3_secret_access_key')",
)


def test_a_query_reads_tables_and_nothing_of_the_server(stores: Stores, tmp_path: Path) -> None:
    secret = "postgres-w%ord"
    settings = Settings.load(
        home=tmp_path,
        **{**stores.settings, "catalog": f"{stores.catalog} password={secret}"},
    )
    with open_lake(settings) as lake:
        lake.write(
            "fill",
            lambda connection: connection.execute(
                "INSERT INTO core.contacts BY NAME "
                "SELECT 'c' || i AS contact_id FROM range(50) t(i)"
            ),
        )
    for sql in ("SELECT count(DISTINCT contact_id) FROM contacts", "SHOW DATABASES"):
        with Query(settings, sql) as found:
            rows = [row for batch in found.batches() for row in batch.to_pylist()]
        assert rows
        assert secret not in str(rows)
    for sql in _REFUSED:
        with pytest.raises(QueryRefused) as caught, Query(settings, sql):
            pass
        assert secret not in str(caught.value)
        assert "dbname=" not in str(caught.value)
