"""An error names what happened and what to do, and never what it was given."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from hatif.errors import HomeError
from warehouse.lake import locks
from warehouse.lake.connection import Lake
from warehouse.lake.explain import complete_words_of, explain, words_of
from warehouse.settings.environment import Settings

FILE = "/lake/core/contacts/ducklake-01a21a6f-cffa-7c7f-973f-4d0c55c10c96.parquet"
OTHERS = [
    (duckdb.IOException("IO Error: write: No space left on device"), "the disk is full. Make room"),
    (duckdb.Error("Failed: database disk image is malformed"), "the catalog is damaged. Restore"),
    (duckdb.Error("Failed: attempt to write a readonly database"), "is read-only. Make it"),
    (
        duckdb.IOException("Cannot open x: Permission denied"),
        "may not open it. Run it as",
    ),
    (duckdb.InvalidInputException("DuckLake catalog version mismatch: 0.9"), "another version"),
    (duckdb.TransactionException("database is locked"), "another program holds the catalog"),
    (duckdb.IOException(f'IO Error: Cannot open file "{FILE}": No such file'), "is missing"),
    (duckdb.InvalidInputException(f"No magic bytes found in '{FILE}'"), "is damaged"),
    (
        duckdb.TransactionException(
            "Failed to execute query \"INSERT INTO x VALUES ('permission denied')\": "
            "server closed the connection unexpectedly"
        ),
        "the catalog's database: the connection was cut",
    ),
    (duckdb.Error("ERROR: permission denied for table x"), "lacks a right in database"),
    *(
        (duckdb.HTTPException(f"HTTP Error: {words} 'http://h:1{FILE}'{more}"), meaning)
        for words, more, meaning in (
            ("Request returned HTTP 503 for HTTP HEAD to", "", "overloaded or out of order"),
            ("HTTP GET error reading", " (HTTP 403 Forbidden)\n\nAccessDenied: x", "may not do"),
            ("HTTP GET error reading", " (HTTP 403)\nInvalidAccessKeyId: x", "is not known there"),
            ("x", " (HTTP 403 Forbidden)\n\nSignatureDoesNotMatch: x", "does not belong to"),
            ("x", " (HTTP 301 Moved Permanently)", "in another region, or at another endpoint"),
            ("x", " (HTTP 404 Not Found)", f"the lake's file s3://{FILE[1:]} is missing. Restore"),
        )
    ),
    (duckdb.IOException("Server returned nothing error for HTTP HEAD to 'x'"), "does not answer"),
    (duckdb.HTTPException("HTTP 404 Not Found NoSuchBucket: x"), "there is no such bucket"),
    (OSError(errno.EROFS, os.strerror(errno.EROFS), "/mnt"), "/mnt: the file system or file is"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the disk is full"),
]


@pytest.mark.parametrize(("error", "wording"), OTHERS)
def test_each_cause_has_its_sentence(error: duckdb.Error | OSError, wording: str) -> None:
    assert wording in explain(error)


def test_a_file_of_the_lake_is_named_with_the_way_back() -> None:
    wording = explain(duckdb.IOException(f'IO Error: Cannot open file "{FILE}": No such file'))
    assert FILE in wording
    assert "hatif rebuild" in wording
    assert "backup" in wording


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'secret of Sara'::INT",
        "SELECT '{music} secret of Sara'::JSON",
        "SELECT ('2026-99-99 secret of Sara')::TIMESTAMP",
        "SELECT error('secret of Sara')",
        'SELECT 1 AS "secret of Sara" FROM nothing',
        "SELECT strptime('secret of Sara', '%Y')",
    ],
)
def test_no_value_is_quoted(sql: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        duckdb.sql(sql).fetchall()
    assert "Sara" not in explain(caught.value)


def test_a_connection_string_is_not_quoted() -> None:
    text = 'IO Error: failed at "postgres:host=x password=hunter2" password=hunter2 host=y'
    assert "hunter2" not in explain(duckdb.IOException(text))


def _flip(home: Path) -> None:
    file = home / "catalog.sqlite"
    content = bytearray(file.read_bytes())
    content[8192::97] = bytes(byte ^ 0xFF for byte in content[8192::97])
    file.write_bytes(content)


def _make_folder(home: Path) -> None:
    (home / "catalog.sqlite").unlink()
    (home / "catalog.sqlite").mkdir()


@pytest.mark.parametrize("damage", [_flip, _make_folder])
def test_a_damaged_catalog_is_one_clear_error(
    settings: Settings, lake: Lake, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    lake.close()
    copy = Path(shutil.copytree(settings.home, tmp_path / "copy"))
    damage(copy)
    with pytest.raises(HomeError, match=r"cannot open the catalog .*(Restore|Check)"):
        Lake(Settings.load(home=copy), read_only=True)


def test_a_lock_that_is_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "write.lock").mkdir()
    with (
        pytest.raises(HomeError, match=r"write\.lock: Is a directory\. It must be a file"),
        locks.exclusive(tmp_path / "write.lock", "test"),
    ):
        pass


def test_a_full_disk_does_not_keep_a_lock_from_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with locks.exclusive(tmp_path / "write.lock", "test"):
        assert locks.holder(tmp_path / "write.lock") == "another process"


def test_an_error_of_duckdbs_own_making_is_shown_without_its_stack() -> None:
    error = duckdb.InternalException(
        "INTERNAL Error: no such state\n\nStack Trace:\n\n/opt/a.so(+1)"
    )
    assert complete_words_of(error) == "INTERNAL Error: no such state"
    assert words_of(error) == "no such state (InternalException)"
