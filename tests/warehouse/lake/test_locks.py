"""Locks between processes: who holds one is seen without being in anybody's way."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from hatif.errors import Busy, HomeError
from warehouse.lake.locks import exclusive, holder, share


def test_a_lock_that_is_shared_by_readers_has_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "readers.lock"
    with exclusive(path, "maintenance"):
        assert "maintenance" in str(holder(path))
    shared = share(path)
    assert shared is not None
    assert holder(path) is None
    with pytest.raises(Busy), exclusive(path, "maintenance", wait=False):
        pass
    os.close(shared)
    with exclusive(path, "maintenance", wait=False):
        pass


def test_one_that_only_looks_whether_a_lock_is_free_makes_no_other_give_up(tmp_path: Path) -> None:
    path = tmp_path / "api.lock"
    looks = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looks, fcntl.LOCK_SH)
    began = threading.Event()

    def look() -> None:
        began.wait()
        os.close(looks)

    thread = threading.Thread(target=look)
    thread.start()
    began.set()
    with exclusive(path, "sync", wait=False):
        assert "sync" in str(holder(path))
    thread.join()


def test_what_is_no_file_in_the_place_of_a_lock_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "readers.lock"

    def link(to: str) -> None:
        path.symlink_to(to)

    for make in (
        lambda: os.mkfifo(path),
        lambda: link("/dev/null"),
        lambda: link("no/where"),
        lambda: link("readers.lock"),
    ):
        make()
        with (
            pytest.raises(HomeError, match=r"readers\.lock.*Remove what is there"),
            exclusive(path, "maintenance"),
        ):
            pass
        path.unlink()
