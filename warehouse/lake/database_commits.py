"""Commits as DuckLake's tables in a PostgreSQL database show them; see `warehouse.lake.commits`."""

from __future__ import annotations

from psycopg import Connection, sql

from hatif.errors import HomeError
from warehouse.lake.postgres import SCHEMA, Database

_RESTART = 60.0  # seconds that a server may take to start again
_NEWEST = f"""
    WITH newest AS (SELECT max(snapshot_id) AS id FROM {SCHEMA}.ducklake_snapshot),
    files AS (
        SELECT table_id, path FROM {SCHEMA}.ducklake_data_file
        WHERE path_is_relative AND begin_snapshot = (SELECT id FROM newest)
        UNION ALL
        SELECT table_id, path FROM {SCHEMA}.ducklake_delete_file
        WHERE path_is_relative AND begin_snapshot = (SELECT id FROM newest)
    ),
    folders AS (
        SELECT DISTINCT t.table_id, s.path || t.path AS path FROM {SCHEMA}.ducklake_table t
        JOIN {SCHEMA}.ducklake_schema s USING (schema_id)
        WHERE t.path_is_relative AND s.path_is_relative
    )
    SELECT n.id, d.path || f.path FROM newest n LEFT JOIN files f ON true
    LEFT JOIN folders d USING (table_id)
"""
#: DuckLake's tables that state from which snapshot to which a row holds; rows that wait in the
#: catalog are in such tables, too.
_VERSIONED = f"""
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = '{SCHEMA}' AND starts_with(table_name, 'ducklake_')
        AND column_name IN ('begin_snapshot', 'end_snapshot')
    ORDER BY column_name
"""
_CHANGES = {
    "begin_snapshot": "DELETE FROM {} WHERE begin_snapshot = %s",
    "end_snapshot": "UPDATE {} SET end_snapshot = NULL WHERE end_snapshot = %s",
}
_TABLES = f"(SELECT table_id FROM {SCHEMA}.ducklake_table)"
_FILES = f"(SELECT data_file_id FROM {SCHEMA}.ducklake_data_file)"
#: What hangs on tables and files that are no more: their ids are given again.
_LEFT_BEHIND = (
    f"DELETE FROM {SCHEMA}.ducklake_inlined_data_tables WHERE table_id NOT IN {_TABLES}",
    f"DELETE FROM {SCHEMA}.ducklake_table_stats WHERE table_id NOT IN {_TABLES}",
    f"DELETE FROM {SCHEMA}.ducklake_table_column_stats WHERE table_id NOT IN {_TABLES}",
    f"DELETE FROM {SCHEMA}.ducklake_file_column_stats WHERE data_file_id NOT IN {_FILES}",
    f"DELETE FROM {SCHEMA}.ducklake_file_partition_value WHERE data_file_id NOT IN {_FILES}",
    f"DELETE FROM {SCHEMA}.ducklake_file_variant_stats WHERE data_file_id NOT IN {_FILES}",
)


def has_commit(database: Database, commit_id: str) -> bool:
    """Whether a snapshot of the catalog bears this id; waits for a server that starts again.

    Raises:
        HomeError: there is no such database, or it refuses.
    """
    with database.asked(patience=_RESTART) as session:
        found = session.execute(
            f"SELECT 1 FROM {SCHEMA}.ducklake_snapshot_changes WHERE commit_extra_info = %s",
            [commit_id],
        ).fetchone()
    return found is not None


def newest(database: Database) -> tuple[int, list[str]]:
    """Return the newest snapshot and the files that it added, by their path in the lake.

    Raises:
        HomeError: there is no such database, or it refuses.
    """
    with database.asked(patience=_RESTART) as session:
        found = session.execute(_NEWEST).fetchall()
    return found[0][0] or 0, [path for _, path in found if path is not None]


def take_back(database: Database, snapshot: int) -> None:
    """Remove the newest snapshot from the catalog, as if it had never been committed.

    Statistics of tables stay as wide as they were, which does no harm.

    Raises:
        HomeError: it is not the newest any more, or the database refuses.
    """
    with database.asked() as session, session.transaction():
        session.execute(f"LOCK TABLE {SCHEMA}.ducklake_snapshot IN EXCLUSIVE MODE")
        found = session.execute(f"SELECT max(snapshot_id) FROM {SCHEMA}.ducklake_snapshot")
        if found.fetchone() != (snapshot,):
            raise HomeError(
                f"files of snapshot {snapshot} are missing, and later ones build on it. Restore "
                "catalog and lake from a backup (docs/cluster.md)"
            )
        _remove(session, snapshot)


def _remove(session: Connection, snapshot: int) -> None:
    for table, column in session.execute(_VERSIONED).fetchall():
        change = sql.SQL(_CHANGES[column]).format(sql.Identifier(SCHEMA, table))
        session.execute(change, [snapshot])
    inlined = session.execute(
        f"SELECT table_name FROM {SCHEMA}.ducklake_inlined_data_tables "
        f"WHERE table_id NOT IN {_TABLES}"
    ).fetchall()
    for (table,) in inlined:
        drop = sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, table))
        session.execute(drop)
    for statement in _LEFT_BEHIND:
        session.execute(statement)
    for table in ("ducklake_snapshot_changes", "ducklake_snapshot"):
        session.execute(f"DELETE FROM {SCHEMA}.{table} WHERE snapshot_id = %s", [snapshot])
