"""A folder is measured while other processes make and remove files in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.lake import disk


def test_regular_files_are_counted_links_pipes_and_missing_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.parquet").write_bytes(b"1234")
    (tmp_path / "b.json").write_bytes(b"12")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "deep" / "a.parquet")
    os.mkfifo(tmp_path / "pipe.parquet")
    assert disk.measure(tmp_path) == (2, 6)
    assert disk.measure(tmp_path, ".parquet") == (1, 4)
    assert disk.measure(tmp_path / "missing") == (0, 0)


def test_what_vanishes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"1")
    walk = os.walk

    def vanishing(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in walk(folder):
            (tmp_path / "b").unlink()
            yield found

    monkeypatch.setattr(os, "walk", vanishing)
    assert disk.measure(tmp_path) == (2, 2)
