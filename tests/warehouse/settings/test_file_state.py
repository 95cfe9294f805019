"""Whether a file has changed: by its content, whatever its size and times say."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.clocks import set_clock
from warehouse.settings import file_state
from warehouse.settings.file_state import is_same, state_of


@pytest.fixture(params=["at once", "settled"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was written just now, and one that lay there for a while."""
    path = tmp_path / "file.csv"
    path.write_text("a,marketing\n")
    if request.param == "settled":
        later = time.time_ns() + 3_600_000_000_000
        set_clock(monkeypatch, file_state, time_ns=lambda: later)
    return path


def test_an_edit_of_equal_length_and_time_is_seen(file: Path) -> None:
    before, times = state_of([file], ""), file.stat()
    file.write_text("a,utility  \n"[: times.st_size])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not is_same(before, state_of([file], before))


def test_a_copy_that_keeps_times_is_seen(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("b,marketing\n")
    times = file.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    before = state_of([file], "")
    shutil.copy2(other, file)
    assert not is_same(before, state_of([file], before))


def test_new_times_alone_are_no_change(file: Path) -> None:
    before = state_of([file], "")
    os.utime(file, (0, 0))
    assert is_same(before, state_of([file], before))
    file.write_bytes(file.read_bytes())
    assert is_same(before, state_of([file], before))


def test_a_file_that_lay_still_is_not_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time_ns() + 3_600_000_000_000
    set_clock(monkeypatch, file_state, time_ns=lambda: later)
    before = state_of([file], "")
    monkeypatch.setattr(file_state, "digest_of", lambda _: pytest.fail("it was read"))
    assert state_of([file], before) == before


def test_files_that_come_and_go_and_what_an_earlier_version_kept_are_changes(
    file: Path, tmp_path: Path
) -> None:
    before = state_of([file], "")
    assert not is_same(before, state_of([file, tmp_path / "gone.csv"], before))
    assert not is_same(before, state_of([], before))
    assert not is_same(f"{file} 12 1700000000", before)
