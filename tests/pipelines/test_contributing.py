"""CONTRIBUTING.md tells the truth: its diffs apply, and nothing else is needed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import ROOT, environment

_DIFF = re.compile(r"```diff\n(.*?)```", re.DOTALL)

#: Run in the copy: serves the made-up list, syncs everything, and prints what came of it.
_SCRIPT = """
import sys
from pathlib import Path

from rehearsal import RehearsalServer, WorldSpec, app
from rehearsal.abp import json_response
from pipelines.definitions import defs
from pipelines.schedules import SCHEDULES
from pipelines.sync import sync
from sync.session import RunOptions
from hatif.reading import Quiet
from warehouse.settings.environment import Settings
from warehouse.lake.connection import Lake
import hatif

assert Path(hatif.__file__).is_relative_to(Path.cwd())
PAGE = (
    b'{"totalCount": 2, "items": ['
    b'{"id": "3a1c50d5-6047-482c-4343-5cc52eae05c1", "shortcut": "hi", "body": "Hello",'
    b' "creationTime": "2026-10-01T10:00:00"},'
    b'{"id": "3a1c50d5-6047-482c-4343-5cc52eae05c2", "shortcut": "bye", "body": "Goodbye",'
    b' "creationTime": "2026-10-02T10:00:00"}]}'
)
read = app._read
app._read = lambda stage, request: (
    json_response(PAGE) if "quick-replies" in request.url.path else read(stage, request)
)
jobs = {job.name: job for job in defs.resolve_all_job_defs()}
keys = {key.to_user_string() for key in jobs["hot_sync"].asset_layer.selected_asset_keys}
print("hot_sync reads", *sorted(key for key in keys if "quick" in key))
checks = defs.resolve_asset_graph().asset_check_keys
print("checks", sum("quick_replies" in key.asset_key.path for key in checks))
with RehearsalServer(WorldSpec(contacts=6, conversations=4, events=60)) as server:
    settings = Settings.load(
        base_url=server.url, client_id=server.client_id, client_secret=server.client_secret,
        home=Path("home"), requests_per_minute=0,
    )
    outcome = sync(settings, [], RunOptions(), Quiet())
    print("sync", outcome.results["quick_replies"].status, outcome.ok, *outcome.complaints)
with Lake(settings, read_only=True) as lake:
    connection = lake.reader()
    print(connection.execute("SELECT shortcut, body FROM core.quick_replies ORDER BY 1").fetchall())
    print(
        connection.execute(
            "SELECT (SELECT sum(messages) FROM marts.origins_daily) = (SELECT count(*) FROM "
            "core.messages WHERE direction = 'outbound' AND status <> 'failed')"
        ).fetchone()
    )
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The product's files, without a version control system or what was compiled."""
    there = tmp_path / "copy"
    for room in ("hatif", "rehearsal", "warehouse", "sync", "page", "assets", "pipelines"):
        shutil.copytree(ROOT / room, there / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", there)
    return there


def apply(diff: str, there: Path) -> None:
    """Apply a unified diff; every hunk must fit one place of its file exactly."""
    _, *parts = re.split(r"^--- (.*)\n\+\+\+ b/(.*)\n", diff, flags=re.MULTILINE)
    for old, name, hunks in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        file = there / name
        text = "" if old == "/dev/null" else file.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@ .*\n", hunks, flags=re.MULTILINE)[1:]:
            lines = [line or " " for line in hunk.splitlines()]
            before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
            after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
            assert text.count(before) == 1, f"{name}: a hunk does not fit"
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")


def test_a_stream_is_one_entry_and_one_sql_file_and_a_mart_is_one_sql_file(copy: Path) -> None:
    stream, mart = _DIFF.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    changed = re.findall(r"^\+\+\+ b/(.*)$", stream + mart, re.MULTILINE)
    assert changed == [
        "hatif/streams.py",
        "warehouse/models/core/quick_replies.sql",
        "warehouse/models/marts/origins_daily.sql",
    ]
    for diff in (stream, mart):
        apply(diff, copy)

    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=copy,
        env=environment(PYTHONPATH=str(copy)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "hot_sync reads core/quick_replies raw/quick_replies",
        "checks 5",
        "sync done True",
        "[('bye', 'Goodbye'), ('hi', 'Hello')]",
        "(True,)",
    ]
