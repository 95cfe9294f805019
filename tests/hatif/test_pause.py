"""A long wait that the service asks for is kept for the next run."""

import pytest

from hatif.budget import Budget, PauseFile


def test_a_long_wait_is_kept_and_a_short_one_is_not(tmp_path):
    path = tmp_path / "pause.json"
    Budget(0, pause_file=PauseFile(path)).pause(30)
    assert not path.exists()
    Budget(0, pause_file=PauseFile(path)).pause(7200)
    assert 7190 < Budget(0, pause_file=PauseFile(path)).paused_for <= 7200


def test_a_wait_ends_when_it_is_over_and_is_never_believed_for_more_than_a_day(tmp_path):
    now = [1_000_000.0]
    file = PauseFile(tmp_path / "pause.json", clock=lambda: now[0])
    file.keep(3600)
    now[0] += 3601
    assert file.remaining() == 0
    file.keep(10**9)
    assert file.remaining() == 86_400
    now[0] -= 7200  # set back: what lies in the future looks like a mistake
    assert file.remaining() == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"asked_at": "x"}', b"\xff"])
def test_a_file_that_is_none_is_no_wait(tmp_path, content):
    path = tmp_path / "pause.json"
    path.write_bytes(content)
    assert PauseFile(path).remaining() == 0


def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(tmp_path):
    PauseFile(tmp_path / "missing" / "pause.json").keep(3600)
