"""A catalog is copied only where it cannot be read in its place, and as it is at one moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from warehouse.lake import catalog
from warehouse.lake.catalog import Catalog


def test_a_catalog_that_is_closed_at_this_moment_is_read_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, shared = tmp_path / "catalog.sqlite", tmp_path / "catalog.sqlite-shm"
    file.write_bytes(b"catalog")
    shared.touch()
    access = os.access

    def closed_meanwhile(path: Path, mode: int) -> bool:
        shared.unlink(missing_ok=True)  # as whoever closes the catalog last does
        return access(path, mode)

    monkeypatch.setattr(os, "access", closed_meanwhile)
    assert not catalog.needs_copy(Catalog("sqlite", str(file), str(tmp_path / "lake")))


def test_a_copy_has_no_log_that_the_catalog_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, log = tmp_path / "catalog.sqlite", tmp_path / "catalog.sqlite-wal"
    file.write_bytes(b"before")
    log.write_bytes(b"log")
    copyfile = shutil.copyfile

    def merged_meanwhile(source: Path, target: Path) -> None:
        copyfile(source, target)
        if source == log:  # its pages are taken over into the file, and it is removed
            log.unlink()
            file.write_bytes(b"afterwards")

    monkeypatch.setattr(shutil, "copyfile", merged_meanwhile)
    with catalog.copied(file) as folder:
        found = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert found == {"catalog.sqlite": b"afterwards"}
