"""A sync of all workspaces: each in a process of its own, and each is reported."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from pipelines.settings import require_several
from pipelines.sync_all import Ended, SyncAll
from tests.pipelines.conftest import HATIF, environment, hatif


def test_a_sync_of_all_syncs_each_and_reports_those_that_failed(several):
    variables, data = several
    done = hatif("sync", "--json", "--stream", "tags", "--stream", "contacts", **variables)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert {name: one["ok"] for name, one in found["workspaces"].items()} == {
        "wrong": False,
        "dead": False,
        "mistaken": False,
        "riyadh": True,
        "jeddah": True,
    }
    assert found["workspaces"]["jeddah"]["streams"]["contacts"]["rows_changed"] == 20
    assert found["workspaces"]["riyadh"]["streams"]["contacts"]["rows_changed"] == 12
    assert "401" in found["workspaces"]["wrong"]["errors"][0]
    assert "refuses the connection" in found["workspaces"]["dead"]["errors"][0]
    assert "timezon: there is no such setting" in found["workspaces"]["mistaken"]["errors"][0]
    assert "riyadh: tags: done" in done.stderr
    assert not any(variables[name] in done.stdout + done.stderr for name in ("SECRET_RIYADH",))
    assert (data / "jeddah" / "catalog.sqlite").is_file()
    assert not (data / "catalog.sqlite").exists()


def test_the_summary_is_a_line_a_workspace(run, capsys: pytest.CaptureFixture[str]):
    _, variables = run
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        workspaces = require_several("--all")
    syncs = SyncAll(workspaces, [], 1)
    stream = {"rows_read": 9, "rows_changed": 5, "requests": 3, "status": "done"}
    result = {"streams": {"tags": stream}, "requests": 4, "rejects": 0, "seconds": 1.25}
    syncs.ended = {
        "riyadh": Ended(ok=True, result=result | {"webhook_events": 7}),
        "jeddah": Ended(errors=["boom"]),
    }
    assert Ended(ok=True, result={"left": {"timelines": 561}}).state == "left: 561 lists"
    syncs.show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].replace("│", "").split() == ["riyadh", "done", "5", "4", "7", "0", "1.2"]
    assert lines[3].replace("│", "").split() == ["jeddah", "failed"]
    assert lines[4].startswith("1 of 2 workspaces done")
    assert syncs.as_json()["requests"] == 4
    assert not syncs.ok


def test_ctrl_c_ends_the_syncs_of_all_and_a_repeated_sync_goes_on(several):
    variables, data = several
    file = Path(variables["HATIF_WORKSPACES"])
    file.write_text("[riyadh]" + file.read_text().partition("[riyadh]")[2])
    with subprocess.Popen(
        [HATIF, "sync", "--stream", "tags", "--stream", "contacts"],
        env=environment(None, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("riyadh: "):
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    command = ("sync", "--workspace", "riyadh", "--stream", "tags", "--no-wait")
    assert hatif(*command, **variables).returncode == 0
    homes = sorted(one.name for one in data.iterdir() if one.is_dir())
    assert homes == ["dead", "jeddah", "riyadh", "wrong"]
