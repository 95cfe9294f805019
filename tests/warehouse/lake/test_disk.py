"""A folder is measured while other processes make and remove files in it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.deep_folder import deep_folder
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


def test_what_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"1")
    met = disk.files(tmp_path)
    first, _ = next(met)
    gone = next(path for path in tmp_path.iterdir() if path != first)
    gone.unlink()
    assert {first, *(path for path, _ in met)} == {tmp_path / name for name in "abc"} - {gone}


def test_folders_in_folders_are_looked_into_to_any_depth(tmp_path: Path) -> None:
    with deep_folder(tmp_path, 1_050) as inner:
        (inner / "a.parquet").write_bytes(b"1")
        assert disk.measure(tmp_path) == (1, 1)
