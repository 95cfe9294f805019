"""The tables of the lake: raw and ops as written here, core and marts from the models' headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from xxhash import xxh3_128_hexdigest

from hatif.errors import HomeError
from hatif.streams import STREAMS
from warehouse.lake import invalidation, migrations
from warehouse.lake.connection import Lake
from warehouse.lake.sql import literal
from warehouse.models.model import Model, check, models
from warehouse.settings.environment import Settings

_RAW_AND_OPS = """
CREATE SCHEMA IF NOT EXISTS wh.raw;
CREATE SCHEMA IF NOT EXISTS wh.core;
CREATE SCHEMA IF NOT EXISTS wh.marts;
CREATE SCHEMA IF NOT EXISTS wh.ops;
CREATE TABLE IF NOT EXISTS wh.raw.records (
    stream VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    parent_id VARCHAR,
    seq BIGINT NOT NULL,
    op VARCHAR NOT NULL,
    payload JSON,
    payload_hash VARCHAR,
    scan_id VARCHAR,
    fetched_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.raw.webhook_events (
    delivery_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    channel_id VARCHAR,
    conversation_id VARCHAR,
    received_at TIMESTAMPTZ NOT NULL,
    signature VARCHAR NOT NULL,
    body VARCHAR NOT NULL,
    payload JSON,
    is_stated BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.scans (
    scan_id VARCHAR NOT NULL,
    run_id VARCHAR,
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    mode VARCHAR,
    reason VARCHAR,
    whole BOOLEAN,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    requests BIGINT,
    rows_read BIGINT,
    distinct_ids BIGINT,
    total_before BIGINT,
    total_after BIGINT,
    passes BIGINT,
    page_size BIGINT,
    verdict VARCHAR NOT NULL,
    time_offset_minutes BIGINT,
    note VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.cursors (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    state JSON,
    updated_at TIMESTAMPTZ,
    read_at TIMESTAMPTZ,
    whole_at TIMESTAMPTZ,
    watermark TIMESTAMPTZ,
    signal VARCHAR,
    due_at TIMESTAMPTZ,
    surplus BIGINT,
    round VARCHAR,
    gap BIGINT,
    doubted_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.absences (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    record_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    missing_since TIMESTAMPTZ NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL,
    proof VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.list_retries (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    verdict VARCHAR NOT NULL,
    times BIGINT NOT NULL,
    message VARCHAR,
    signal VARCHAR,
    ended_at TIMESTAMPTZ NOT NULL,
    retry_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.unfinished_scans (
    scan_id VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    parent_id VARCHAR,
    certificate JSON NOT NULL,
    position JSON NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.sightings (
    scan_id VARCHAR NOT NULL,
    pass INTEGER NOT NULL,
    record_id VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.rejects (
    reject_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    stream VARCHAR,
    reason VARCHAR NOT NULL,
    raw VARCHAR,
    location VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL,
    replayed_at TIMESTAMPTZ,
    received_at TIMESTAMPTZ,
    signature VARCHAR,
    is_stated BOOLEAN,
    last_seen_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.shared_notes (
    note_id VARCHAR NOT NULL,
    contact_id VARCHAR NOT NULL,
    text VARCHAR,
    creator_name VARCHAR,
    creator_id VARCHAR,
    created_at TIMESTAMPTZ,
    deleted_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS wh.ops.acknowledgements (
    reject_id VARCHAR NOT NULL,
    acknowledged_at TIMESTAMPTZ NOT NULL,
    acknowledged_by VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    withdrawn_at TIMESTAMPTZ,
    withdrawn_by VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.drift (
    stream VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    what VARCHAR NOT NULL,
    example VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.runs (
    run_id VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    mode VARCHAR,
    requests BIGINT,
    status VARCHAR NOT NULL,
    error VARCHAR
);
CREATE TABLE IF NOT EXISTS wh.ops.webhook_files (
    path VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    bytes_read BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    ingested_at TIMESTAMPTZ NOT NULL,
    size BIGINT,
    file_id VARCHAR,
    changed BIGINT,
    is_unfinished BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.hints (
    stream VARCHAR NOT NULL,
    parent_id VARCHAR NOT NULL,
    hinted_at TIMESTAMPTZ NOT NULL,
    whole BOOLEAN
);
CREATE TABLE IF NOT EXISTS wh.ops.outdated (
    consumer VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    key VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.mart_days (
    conversation_id VARCHAR NOT NULL,
    date DATE NOT NULL,
    contact_id VARCHAR,
    fingerprint BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS wh.ops.home (
    key VARCHAR NOT NULL,
    value VARCHAR
);
"""

_OUR_TABLES = re.compile(r"CREATE TABLE IF NOT EXISTS wh\.([a-z_.]+) \((.*?)\n\);", re.DOTALL)


@contextmanager
def open_lake(settings: Settings) -> Iterator[Lake]:
    """Open the lake for writing, with this version's tables in it.

    Raises:
        HomeError: the home cannot be used.
    """
    with Lake(settings) as lake:
        bring_up_to_date(lake)
        yield lake


def bring_up_to_date(lake: Lake) -> None:
    """Make this version's tables in a lake that is new or another version's."""
    with lake.reading() as connection:
        ours = matches_this_version(connection)
    if not ours:
        lake.write("make the tables", create)


def make_again(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Drop a table and make it again, empty, in one transaction; its files are not read."""
    connection.execute(f"DROP TABLE IF EXISTS wh.{model.table}")
    _create(connection, model, set())


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether every table is there, without writing."""
    there = {
        f"{schema}.{table}"
        for schema, table in connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'wh' "
            "UNION ALL "
            "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'wh'"
        ).fetchall()
    }
    wanted = {model.table for model in (*models("core"), *models("marts"))}
    wanted |= {table for table, _ in _OUR_TABLES.findall(_RAW_AND_OPS)}
    return wanted <= there


def require_current(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """See that every table is there.

    Raises:
        HomeError: the lake is new, or an older version's.
    """
    if not is_current(connection):
        raise HomeError(
            f"the warehouse in {home} has no tables yet, or those of an older version; run: "
            "hatif sync"
        )


def fingerprint() -> str:
    """Return a hash that distinguishes this version's tables and views."""
    text = _RAW_AND_OPS + "".join(model.sql for model in (*models("core"), *models("marts")))
    return xxh3_128_hexdigest(text.encode())


def matches_this_version(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the tables and views were made by this very version."""
    if not is_current(connection):
        return False
    made_by = connection.execute("SELECT value FROM ops.home WHERE key = 'schema'").fetchone()
    return made_by is not None and made_by[0] == fingerprint()


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is missing and renew the views; run inside a transaction.

    Raises:
        ModelError: an SQL file names something that does not exist.
    """
    check(STREAMS)
    before = _columns(connection)
    connection.execute(_RAW_AND_OPS)
    _add_columns(connection)
    migrations.apply(connection, before)
    # Few rows a group: a lookup of a few conversations in a sorted file skips the rest.
    connection.execute("CALL wh.set_option('parquet_row_group_size', 16384)")
    views = _drop_views_of_an_older_version(connection)
    # A stream's rows lie in files of their own, so that looking one up touches no other's.
    connection.execute("ALTER TABLE wh.raw.records SET PARTITIONED BY (stream)")
    there = _columns(connection)
    for model in (*models("core"), *models("marts")):
        _create(connection, model, {column for table, column in there if table == model.table})
    if views:
        # Tables now, but nothing in them yet: merge what the timelines hold.
        invalidation.mark(
            connection,
            "merge",
            "conversation",
            "SELECT conversation_id AS key FROM core.timeline_events",
        )
    connection.execute("DELETE FROM ops.home WHERE key = 'schema'")
    connection.execute("INSERT INTO ops.home VALUES ('schema', ?)", [fingerprint()])


def _columns(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Return every column that is there, with its table."""
    return set(
        connection.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE database_name = 'wh'"
        ).fetchall()
    )


def _add_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Add to the tables of raw and ops in an older home what they lack."""
    there = _columns(connection)
    for table, body in _OUR_TABLES.findall(_RAW_AND_OPS):
        for column in body.strip().split(",\n"):
            name, kind = column.split()[:2]
            if (table, name) not in there:
                connection.execute(f"ALTER TABLE wh.{table} ADD COLUMN {name} {kind}")


def _drop_views_of_an_older_version(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Make way for tables that were views once; return their names."""
    tables = {model.table for model in (*models("core"), *models("marts")) if not model.is_view}
    found = connection.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE database_name = 'wh'"
    ).fetchall()
    views = sorted(tables & {view for (view,) in found})
    for view in views:
        connection.execute(f"DROP VIEW wh.{view}")
    return views


def _create(connection: duckdb.DuckDBPyConnection, model: Model, there: set[str]) -> None:
    """Make a table or view; add to a table that is there, with columns `there`, what it lacks."""
    if model.is_view:
        connection.execute(f"CREATE OR REPLACE VIEW wh.{model.table} AS {model.select}")
        _comment(connection, f"VIEW wh.{model.table}", model.description)
        return
    columns = ", ".join(f'"{column.name}" {column.type}' for column in model.columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS wh.{model.table} ({columns})")
    for column in model.columns:
        if there and column.name not in there:
            connection.execute(
                f'ALTER TABLE wh.{model.table} ADD COLUMN "{column.name}" {column.type}'
            )
    if model.sorted_by:
        connection.execute(f"ALTER TABLE wh.{model.table} SET SORTED BY ({model.sorted_by} ASC)")
    _comment(connection, f"TABLE wh.{model.table}", model.description)
    for column in model.columns:
        _comment(connection, f'COLUMN wh.{model.table}."{column.name}"', column.description)


def _comment(connection: duckdb.DuckDBPyConnection, what: str, text: str) -> None:
    connection.execute(f"COMMENT ON {what} IS {literal(text)}")
