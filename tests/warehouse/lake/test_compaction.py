"""Rows are moved only while no other program reads, and what cannot be moved waits."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from hatif.errors import Busy
from warehouse.errors import Conflict
from warehouse.lake import readers
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.settings.environment import Settings

# The DuckDB command line, as far as the lake can tell: it knows nothing of this product's locks.
_FOREIGN = """
import sys, duckdb
connection = duckdb.connect(config={"allow_unsigned_extensions": True})
for extension in sys.argv[2:]:
    connection.execute(f"LOAD '{extension}'")
connection.execute(f"ATTACH 'ducklake:sqlite:{sys.argv[1]}/catalog.sqlite' AS wh (READ_ONLY)")
connection.execute("BEGIN")
for _ in range(2):
    print(connection.execute(
        "SELECT (SELECT count(*) FROM wh.core.messages), (SELECT count(*) FROM wh.ops.hints)"
    ).fetchone(), flush=True)
    sys.stdin.readline()
"""
_MANY = """
    INSERT INTO core.messages BY NAME
    SELECT 'm' || {n} * 20 + range AS message_key, 1.5 AS latitude FROM range({rows})
"""


def write(lake: Lake, n: int, rows: int = 20) -> None:
    """Store messages as a sync does, delete one, and leave some rows in the catalog."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(_MANY.format(n=n, rows=rows))
        connection.execute(f"DELETE FROM core.messages WHERE message_key LIKE 'm{n * 20 + 1}%'")
        connection.execute(
            "INSERT INTO ops.hints BY NAME SELECT 'timelines' AS stream, 'c' AS parent_id, "
            "now() AS hinted_at"
        )

    lake.write("sync", work)


@pytest.fixture
def used(lake: Lake) -> Lake:
    for n in range(4):
        write(lake, n)
    return lake


@contextmanager
def foreign_reader(home: Path) -> Iterator[subprocess.Popen[str]]:
    version = f"v{duckdb.__version__}"
    extensions = [
        str(
            importlib.resources.files(f"duckdb_extension_{name}")
            / "extensions"
            / version
            / f"{name}.duckdb_extension"
        )
        for name in ("sqlite_scanner", "ducklake")
    ]
    with subprocess.Popen(
        [sys.executable, "-c", _FOREIGN, str(home), *extensions],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def messages(lake: Lake) -> list[tuple[object, ...]]:
    with lake.reading() as connection:
        return connection.execute(
            "SELECT message_key, latitude FROM core.messages ORDER BY ALL"
        ).fetchall()


def test_a_foreign_reader_sees_every_row_beside_syncs_and_maintenance(
    used: Lake, settings: Settings
) -> None:
    with foreign_reader(settings.home) as reader:
        before = answer(reader)
        write(used, 10)
        freed = maintain(used, patience=0)
        write(used, 11)
        assert (freed.rows_flushed, freed.files_merged, freed.files_rewritten) == (0, 0, 0)
        assert (
            "another program reads the warehouse" in freed.put_off["move rows out of the catalog"]
        )
        go_on(reader)
        assert answer(reader) == before
        go_on(reader)
    later = maintain(used, patience=5)
    assert (later.rows_flushed > 0, later.put_off) == (True, {})


def test_a_reader_that_comes_during_a_step_keeps_it_from_its_commit(
    used: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with foreign_reader(settings.home) as reader:
        before = answer(reader)
        monkeypatch.setattr(readers, "others_read", lambda _: False)  # it came after that
        compaction = Compaction(used, patience=0)
        compaction.run()
        assert compaction.counts.total() == 0
        assert compaction.put_off
        go_on(reader)
        assert answer(reader) == before
        go_on(reader)


def test_a_program_that_has_the_warehouse_open_but_reads_nothing_does_not_hold_it_up(
    used: Lake, settings: Settings
) -> None:
    with Lake(settings, read_only=True) as other:
        other.reader().execute("SELECT count(*) FROM core.messages").fetchall()
        assert not readers.others_read(settings.home / "catalog.sqlite")


def test_rows_that_a_sync_leaves_between_the_flush_and_a_rewrite_are_flushed_too(
    used: Lake,
) -> None:
    compaction = Compaction(used, patience=5)
    compaction._flush()
    write(used, 20, rows=3)  # inlined: DuckLake cannot commit a rewrite beside them
    before = messages(used)
    assert compaction._rewrite("core", "messages") > 0
    assert messages(used) == before


def test_a_step_that_others_keep_from_its_commit_is_put_off_and_the_rest_goes_on(
    used: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise Conflict("the catalog was in use")

    monkeypatch.setattr(Compaction, "_rewrite", refused)
    freed = maintain(used, patience=5)
    assert freed.put_off == {"rewrite files of core.messages": "the catalog was in use"}
    assert freed.rows_flushed > 0
    assert freed.as_numbers()["steps_put_off"] == 1


def test_a_reader_of_our_own_puts_every_step_off(used: Lake, settings: Settings) -> None:
    with Lake(settings, read_only=True):
        compaction = Compaction(used, patience=0)
        with pytest.raises(Busy):
            compaction._undisturbed(compaction._flush)
