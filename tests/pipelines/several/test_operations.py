"""Status, maintenance and the doctor of all workspaces, one after the other."""

from __future__ import annotations

import json

from click.testing import CliRunner

from pipelines.cli import main
from tests.pipelines.conftest import environment


def test_the_state_of_all_is_one_table(run):
    command, _ = run
    shown = command("status")
    assert shown.exit_code == 1
    assert [line.split()[0] for line in shown.stdout.splitlines() if "│" in line][:2] == [
        "riyadh",
        "jeddah",
    ]
    assert "dubai.timezone" in "".join(shown.stdout.split())
    found = json.loads(command("status", "--json").stdout)["workspaces"]
    assert {name: one["state"] for name, one in found.items()} == {
        "riyadh": "read",
        "jeddah": "read",
        "dubai": "failed",
    }
    assert found["jeddah"]["streams"]["contacts"]["rows"] == 20


def test_all_are_maintained_and_one_that_cannot_be_is_reported(several):
    variables, _ = several
    done = CliRunner(env=environment(None, **variables)).invoke(main, ["maintain", "--json"])
    assert done.exit_code == 1
    assert "error: mistaken: " in done.stderr
    found = json.loads(done.stdout)["workspaces"]
    assert set(found) == {"wrong", "dead", "mistaken", "riyadh", "jeddah"}
    assert "error" in found["mistaken"]
    assert "error" not in found["riyadh"], found


def test_all_are_examined_and_each_has_its_findings(run):
    command, _ = run
    done = command("doctor", "--no-probe", "--json")
    assert done.exit_code == 1
    reports = json.loads(done.stdout)["workspaces"]
    assert [reports[name]["ok"] for name in ("riyadh", "jeddah", "dubai")] == [True, True, False]
    assert "dubai.timezone" in str(reports["dubai"]["findings"])
