"""What the commands say of the webhook folder: files that are none of ours, locks that are none."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

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
