"""What the commands say of the webhook folder: files that are none of ours, locks that are none."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from hatif.webhooks import receiver
from pipelines import doctor
from pipelines.cli import main
from tests.pipelines.conftest import environment
from warehouse.settings.environment import Settings


def _runner(home: Path) -> CliRunner:
    return CliRunner(env=environment(HATIF_HOME=str(home)))


def test_status_and_doctor_name_files_that_are_no_webhook_files(tmp_path: Path) -> None:
    folder = tmp_path / "webhooks"
    (folder / "deep").mkdir(parents=True)
    for number in range(7):
        (folder / "deep" / f"{number}\x1b.log").touch()
    (folder / "a.ndjson").write_text('{"eventType": "x", "contactId": "c"}\n')
    runner = _runner(tmp_path)
    assert runner.invoke(main, ["sync", "--only", "webhooks"]).exit_code == 0

    found = json.loads(runner.invoke(main, ["status", "--json"]).stdout)["webhook_files"]
    assert (found["files"], found["accepted"]) == (1, 1)
    assert found["others"]["count"] == 7
    assert found["others"]["first"] == [f"deep/{number}\x1b.log" for number in range(5)]
    shown = runner.invoke(main, ["status"]).stdout
    assert "not read: 7, such as 'deep/0\\x1b.log'" in " ".join(shown.split())
    assert "\x1b" not in shown

    finding = doctor._webhooks(Settings.load(home=tmp_path))
    assert finding.status == "warning"
    assert "1 files in" in finding.text
    assert "7 others are none by their names: 'deep/0\\x1b.log'" in finding.text


def test_a_lock_that_is_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "webhooks.lock").mkdir()
    outcome = _runner(tmp_path).invoke(main, ["sync", "--only", "webhooks"])
    assert outcome.exit_code == 1
    assert f"cannot open {tmp_path}/webhooks.lock: Is a directory" in outcome.stderr


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO])
def test_the_receiver_does_not_start_where_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    ended = _runner(tmp_path / "home").invoke(main, ["collect", "--port", "0"])
    assert ended.exit_code == 2
    assert ended.stderr == (
        f"error: cannot write webhooks to {tmp_path}/home/webhooks: {os.strerror(number)}. "
        "Let this user write there, or set HATIF_WEBHOOK_DIR to another folder\n"
    )


@pytest.mark.parametrize("name", ["webhooks", "webhooks/deep"])
def test_the_receiver_does_not_start_where_a_file_or_no_folder_can_be(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "webhooks").touch()
    for place, wanted in (
        ("", "webhooks: File exists"),
        (str(tmp_path / name), "HATIF_WEBHOOK_DIR: must be a directory"),
        ("/proc/hatif", "/proc/hatif: No such file or directory"),
    ):
        variables = {"HATIF_HOME": str(tmp_path), "HATIF_WEBHOOK_DIR": place}
        runner = CliRunner(env=environment(None, **variables))
        ended = runner.invoke(main, ["collect", "--port", "0"])
        assert ended.exit_code == 2, ended.output
        assert wanted in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_the_receiver_starts_on_a_full_disk_and_in_a_folder_that_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may be right by the time the first webhook comes; until then it is answered 503."""
    receiver._require_writable(tmp_path / "new" / "webhooks")
    assert list((tmp_path / "new" / "webhooks").iterdir()) == []

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    receiver._require_writable(tmp_path / "new" / "webhooks")
