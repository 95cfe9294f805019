"""Copies of ``core`` and ``marts`` for those who have no DuckLake: one DuckDB file, or Parquet.

A copy is of one snapshot. It is written under another name beside the old one, made durable, and
put in its place by one rename, so readers find the old copy or the new one, never a part.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from hatif.errors import Busy
from warehouse.errors import PublishFailed
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain, store_refusal
from warehouse.lake.locks import REBUILD, exclusive
from warehouse.lake.sql import literal
from warehouse.lake.store import Store
from warehouse.models.model import Model, models
from warehouse.reports.destinations import require_foreign
from warehouse.settings.environment import Settings

#: For DuckDB; the process needs some 300 MB beside it.
MEMORY = "400MB"
UNFINISHED = "publishing"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the copy, named with its schema."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Published:
    """What a copy holds.

    Attributes:
        snapshot: the lake's, of which all of it is.
        tables: in order of their names.
    """

    snapshot: int
    tables: tuple[Table, ...]


def publish(settings: Settings, file: Path | None, folder: Path | None) -> Published:
    """Write the copies requested, both of the same snapshot.

    Args:
        settings: where the lake is.
        file: the DuckDB file; it opens with plain DuckDB, without extensions.
        folder: for ``<schema>/<table>.parquet``. It becomes a symbolic link to a folder beside it,
            since only that can be replaced at once.

    Raises:
        HomeError: there is no warehouse yet.
        Busy: a rebuild is under way.
        OutputRefused: a copy would take the place of one of the warehouse's own files.
        PublishFailed: the copy cannot be written; the old one is where it was.
    """
    for target in filter(None, (file, folder)):
        require_foreign(settings, target)
    require_no_rebuild(settings)
    with (
        Lake(settings, read_only=True) as lake,
        lake.reading() as connection,
        unharmed(file or folder),
    ):
        schema.require_current(connection, settings.home)
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("BEGIN")  # one snapshot for all that follows
        found = connection.execute("SELECT id FROM wh.current_snapshot()").fetchone()
        snapshot = int(found[0]) if found else 0
        require_no_rebuild(settings)  # none has begun before the snapshot was chosen
        tables: tuple[Table, ...] = ()
        if folder is not None:
            with alone(folder):
                tables = _write_parquet(connection, folder, snapshot)
        if file is not None:
            with alone(file):
                tables = _write_file(connection, file, snapshot)
    return Published(snapshot, tables)


def require_no_rebuild(settings: Settings) -> None:
    """See that no rebuild is under way: tables change one after the other, old beside new."""
    if (holder := Store.of(settings).locks.holder(REBUILD)) is not None:
        raise Busy(f"not published: {holder} is under way; publish again when it has ended")


@contextmanager
def unharmed(target: Path | None) -> Iterator[None]:
    """Explain why a copy cannot be written."""
    try:
        yield
    except OSError as error:
        raise PublishFailed(_cannot(target, error.strerror or type(error).__name__)) from None
    except duckdb.Error as error:
        refusal = store_refusal(error)
        if refusal is not None:
            text = f"not published: {refusal}; what was published before is unchanged"
            raise type(refusal)(text) from None
        raise PublishFailed(_cannot(target, explain(error))) from None


def _cannot(target: Path | None, why: str) -> str:
    return (
        f"cannot write {target} ({why}); what was published before is unchanged. Check free disk "
        "space and permissions there and in HATIF_HOME"
    )


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Let one process at a time publish there, and clear away what a killed one left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.with_name(f".{target.name}.lock"), f"publish {target.name}"):
        for left in target.parent.glob(f".{_escaped(target.name)}.{UNFINISHED}*"):
            _remove(left)
        yield


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def copied_tables() -> list[Model]:
    """Return the tables that are copied, in order of their names."""
    return sorted((*models("core"), *models("marts")), key=lambda model: model.table)


def _write_file(
    connection: duckdb.DuckDBPyConnection, file: Path, snapshot: int
) -> tuple[Table, ...]:
    unfinished = file.with_name(f".{file.name}.{UNFINISHED}")
    connection.execute(f"ATTACH {literal(str(unfinished))} AS target")
    connection.execute("CREATE SCHEMA target.core; CREATE SCHEMA target.marts")
    written = []
    for table in (model.table for model in copied_tables()):
        done = connection.execute(f"CREATE TABLE target.{table} AS FROM wh.{table}").fetchone()
        written.append(Table(table, int(done[0]) if done else 0))
    connection.execute(
        "CREATE TABLE target.main.published AS SELECT snapshot_id, snapshot_time AS as_of "
        f"FROM wh.snapshots() WHERE snapshot_id = {snapshot}"
    )
    connection.execute("COMMIT")
    connection.execute("DETACH target")
    finish_file(unfinished, file)
    return tuple(written)


def finish_file(unfinished: Path, file: Path) -> None:
    """Let a copy that is written take the place of the one before."""
    # Without a lake beside it, a comment costs DuckDB a hundredth.
    with duckdb.connect(str(unfinished)) as copy:
        copy.execute(table_comments())
        copy.execute("CHECKPOINT")
    if file.exists():
        unfinished.chmod(file.stat().st_mode)
    _make_durable(unfinished)
    unfinished.replace(file)
    _make_durable(file.parent)


def table_comments() -> str:
    """Return the SQL of comments on the copy's tables and columns."""
    comments = ["COMMENT ON TABLE main.published IS 'The snapshot of the lake that is copied here'"]
    for model in copied_tables():
        about = model.description
        if model.is_view and "now()" in model.select:
            about = f"As it stood when it was copied, see main.published. {about}"
        comments.append(f"COMMENT ON TABLE {model.table} IS {literal(about)}")
        comments += [
            f'COMMENT ON COLUMN {model.table}."{column.name}" IS {literal(column.description)}'
            for column in model.columns
        ]
    return ";".join(comments)


def _write_parquet(
    connection: duckdb.DuckDBPyConnection, folder: Path, snapshot: int
) -> tuple[Table, ...]:
    """Write a folder beside and let the link point to it.

    The folder before it stays until the next time, for those who are reading it.
    """
    if folder.is_dir() and not folder.is_symlink():
        folder.rmdir()  # an empty one is replaced, a full one is left alone
    before = folder.readlink().name if folder.is_symlink() else None
    unfinished = folder.with_name(f".{folder.name}.{UNFINISHED}")
    written = []
    for model in copied_tables():
        target = unfinished / model.schema / f"{model.name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        done = connection.execute(
            f"COPY (FROM wh.{model.table}) TO {literal(str(target))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{snapshot: '{snapshot}'}})"
        ).fetchone()
        written.append(Table(model.table, int(done[0]) if done else 0))
        _make_durable(target)
    for inside in (*unfinished.iterdir(), unfinished):
        _make_durable(inside)
    _swap(folder, unfinished, before)
    return tuple(written)


def _swap(folder: Path, unfinished: Path, before: str | None) -> None:
    numbers = (int(path.suffix[1:]) for path in _versions(folder))
    version = folder.with_name(f".{folder.name}.{max(numbers, default=0) + 1}")
    unfinished.rename(version)
    link = folder.with_name(f".{folder.name}.{UNFINISHED}-link")
    link.symlink_to(version.name)
    link.replace(folder)
    _make_durable(folder.parent)
    for old in _versions(folder):
        if old.name not in (version.name, before):
            shutil.rmtree(old)


def _versions(folder: Path) -> Sequence[Path]:
    return [
        path
        for path in folder.parent.glob(f".{_escaped(folder.name)}.*")
        if path.suffix[1:].isdecimal() and path.is_dir()
    ]


def _make_durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
