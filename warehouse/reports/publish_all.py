"""A copy of several workspaces: one DuckDB file, every table with a column ``workspace`` first.

One file, since it is made for questions across workspaces; one of a workspace alone is written by
`warehouse.reports.publish`. Each is copied at one snapshot, in one transaction of the file. One
that cannot be copied is named in ``main.published`` with the reason, and has no rows.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from hatif.errors import HatifError
from warehouse.errors import PublishFailed
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain
from warehouse.lake.sql import literal
from warehouse.reports.destinations import require_foreign
from warehouse.reports.publish import (
    MEMORY,
    UNFINISHED,
    alone,
    copied_tables,
    finish_file,
    require_no_rebuild,
    unharmed,
)
from warehouse.settings.environment import Settings
from warehouse.settings.workspaces import Workspaces

_PUBLISHED = (
    "CREATE TABLE IF NOT EXISTS target.main.published "
    "(workspace VARCHAR, snapshot_id BIGINT, as_of TIMESTAMPTZ, error VARCHAR)"
)


def publish_all(workspaces: Workspaces, file: Path) -> dict[str, str | None]:
    """Write the copy; return by workspace why it is not in it, None where it is.

    Raises:
        OutputRefused: it would take the place of a file of a workspace.
        PublishFailed: it cannot be written, or there is nothing to write; the old one stays.
    """
    for settings in workspaces.sound():
        require_foreign(settings, file)
    with unharmed(file), alone(file):
        unfinished = file.with_name(f".{file.name}.{UNFINISHED}")
        done = {name: _attempt(workspaces, name, unfinished) for name in workspaces.names}
        if all(error is not None for error in done.values()):
            raise PublishFailed(
                f"{file} is not written: no workspace can be copied; the first: "
                f"{next(iter(done.values()))}"
            )
        _name_missing(unfinished, done)
        finish_file(unfinished, file)
    return done


def _attempt(workspaces: Workspaces, name: str, unfinished: Path) -> str | None:
    """Copy a workspace; return why that is impossible."""
    try:
        _copy(workspaces.settings(name), name, unfinished)
    except HatifError as error:
        return str(error)
    except (duckdb.Error, OSError) as error:
        return explain(error)
    return None


def _copy(settings: Settings, name: str, unfinished: Path) -> None:
    """Copy a workspace into the file, whole or not at all."""
    require_no_rebuild(settings)
    with Lake(settings, read_only=True) as lake, lake.reading() as connection:
        schema.require_current(connection, settings.home)
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"ATTACH {literal(str(unfinished))} AS target")
        try:
            connection.execute("BEGIN")
            connection.execute("FROM wh.current_snapshot()")  # one snapshot for all that follows
            require_no_rebuild(settings)
            connection.execute("CREATE SCHEMA IF NOT EXISTS target.core")
            connection.execute("CREATE SCHEMA IF NOT EXISTS target.marts")
            connection.execute(_PUBLISHED)
            for model in copied_tables():
                rows = f"SELECT {literal(name)} AS workspace, * FROM wh.{model.table}"
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS target.{model.table} AS {rows} LIMIT 0"
                )
                connection.execute(f"INSERT INTO target.{model.table} BY NAME {rows}")
            connection.execute(
                f"INSERT INTO target.main.published SELECT {literal(name)}, snapshot_id, "
                "snapshot_time, NULL FROM wh.snapshots() "
                "WHERE snapshot_id = (SELECT id FROM wh.current_snapshot())"
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        finally:
            connection.execute("DETACH target")


def _name_missing(unfinished: Path, done: dict[str, str | None]) -> None:
    """Note the workspaces that the file has no rows of."""
    missing = [(name, error) for name, error in done.items() if error is not None]
    with duckdb.connect(str(unfinished)) as copy:
        if missing:
            copy.executemany(
                "INSERT INTO main.published VALUES (?, NULL, NULL, ?)", [list(m) for m in missing]
            )
        copy.execute("COMMENT ON COLUMN main.published.error IS 'Why there are no rows of it'")
