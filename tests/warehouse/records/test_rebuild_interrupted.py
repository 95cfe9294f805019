"""A rebuild that is stopped anywhere leaves the old rows or the new, and readers see no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hatif.streams import STREAMS
from tests.warehouse.batches import batch
from warehouse.errors import WarehouseError
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.merge.messages import merge, merge_all
from warehouse.models.model import models_of
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild
from warehouse.settings.environment import Settings

#: Enough rows of each for files of their own.
_ROWS = 30
_STREAMS = ("contacts", "conversations", "timelines")
_TABLES = [
    *(model.table for stream in _STREAMS for model in models_of(stream) if not model.is_view),
    "core.messages",
]


class _Stopped(Exception):
    """Ends a rebuild from outside."""


class _Observed:
    """A connection of which each statement is counted and first announced."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, announce: Callable[[], None]) -> None:
        self._connection = connection
        self._announce = announce

    def execute(self, *arguments: Any) -> duckdb.DuckDBPyConnection:
        self._announce()
        return self._connection.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _load(lake: Lake) -> None:
    loader = Loader(lake, "run")
    loader.load(
        batch(
            "contacts",
            None,
            *(b'{"id":"c%d","notes":[{"id":"n%d","text":"x"}]}' % (n, n) for n in range(_ROWS)),
        )
    )
    loader.load(
        batch(
            "conversations",
            "channel",
            *(b'{"id":"v%d","contactId":"c%d","tags":[{"id":"g"}]}' % (n, n) for n in range(_ROWS)),
        )
    )
    event = b'{"eventId":"e%d","sourceType":2,"direction":1,"creationTime":"2026-01-05T10:00:00Z"}'
    loader.load(batch("timelines", "v1", *(event % n for n in range(_ROWS))))
    Absences(lake, "run").mark_deleted(STREAMS["timelines"], ["e1"], None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with rows of three streams, which every test leaves as it was."""
    settings = Settings.load(home=tmp_path_factory.mktemp("rebuild") / "home")
    with Lake(settings) as lake:
        lake.write("make the tables", schema.create)
        _load(lake)
        merge(lake)
    return settings


def _rows(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    with lake.reading() as connection:
        return {
            table: connection.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in _TABLES
        }


def _rebuild_observed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, announce: Callable[[], None]
) -> None:
    write = lake.write

    def observed(purpose: str, work: Callable[[Any], Any]) -> Any:
        return write(purpose, lambda connection: work(_Observed(connection, announce)))

    with monkeypatch.context() as patch:
        patch.setattr(lake, "write", observed)
        rebuild(lake, lambda *_: None)


def test_stopped_at_any_statement_it_leaves_the_rows_as_they_were_and_so_readers_see_them(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lake(home) as lake:
        before = _rows(lake)
        statements: list[int] = []
        _rebuild_observed(lake, monkeypatch, lambda: statements.append(0))
        assert _rows(lake) == before
        for last in range(3, len(statements), len(statements) // 4):
            left = iter(range(last))

            def stop(left: Any = left) -> None:
                if next(left, None) is None:
                    assert _rows(lake) == before  # of a reader meanwhile
                    raise _Stopped

            with pytest.raises(_Stopped):
                _rebuild_observed(lake, monkeypatch, stop)
            assert _rows(lake) == before


_KILLED = """
import os, signal, sys
from warehouse.lake.schema import open_lake
from warehouse.records import core_tables
from warehouse.records.rebuild import rebuild
from warehouse.settings.environment import Settings

insert = core_tables.insert
def killed(connection, model):
    insert(connection, model)
    if model.stream == "timelines":
        os.kill(os.getpid(), signal.SIGKILL)
core_tables.insert = killed
with open_lake(Settings.load(home=sys.argv[1])) as lake:
    rebuild(lake, lambda *_: None)
"""


def test_killed_amid_a_stream_it_leaves_the_rows_and_the_next_rebuild_ends_in_them(
    home: Settings,
) -> None:
    with Lake(home) as lake:
        before = _rows(lake)
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(home.home)],
        check=False,
        cwd=Path(__file__).parents[3],
        env={"PATH": os.environ["PATH"]},
    )
    assert ended.returncode == -signal.SIGKILL
    with Lake(home) as lake:
        assert _rows(lake) == before
        rebuild(lake, lambda *_: None)
        assert _rows(lake) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 20)])
def test_lost_and_cut_files_of_core_are_repaired(
    home: Settings, damage: Callable[[Path], None]
) -> None:
    with Lake(home) as lake:
        before = _rows(lake)
        with lake.reading() as connection:
            files = [
                path
                for table in _TABLES
                for (path,) in connection.execute(
                    "SELECT data_file FROM ducklake_list_files('wh', ?, schema => 'core')",
                    [table.removeprefix("core.")],
                ).fetchall()
            ]
    assert len(files) >= sum(bool(rows) for rows in before.values()) >= len(_STREAMS)
    for path in files:
        damage(Path(path))
    with Lake(home) as lake:
        with pytest.raises((duckdb.Error, WarehouseError)):
            _rows(lake)
        rebuild(lake, lambda *_: None)
        merge_all(lake)
        assert _rows(lake) == before
