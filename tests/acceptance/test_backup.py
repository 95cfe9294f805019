"""Backup, destroy, restore, by the words of docs/operations.md: the next sync goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from hatif.webhooks.sources import place_of
from tests.comparison import differences, stored
from tests.conftest import Serve, settings_for, sync
from tests.pipelines.conftest import HATIF, ROOT, environment
from warehouse.lake.schema import open_lake
from warehouse.merge import messages
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest


def commands(heading: str) -> str:
    """The shell commands under a heading of the page."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


def collect(settings: Settings) -> None:
    with open_lake(settings) as lake:
        ingest(lake, place_of(settings.webhook_location), settings.secrets)
        messages.merge(lake)


def test_after_a_restore_nothing_is_missing_and_nothing_is_there_twice(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=15, conversations=10, events=150)
    settings = settings_for(server, tmp_path / "home")
    webhooks = Path(settings.webhook_location)
    variables = environment(settings, BACKUP=str(tmp_path / "backup"))
    variables["PATH"] = f"{HATIF.parent}:{os.environ['PATH']}"

    def run(script: str) -> None:
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    server.write_webhooks(webhooks)
    sync(settings)
    collect(settings)
    run(commands("Backup"))
    before = server.now
    server.advance(timedelta(hours=6))
    server.write_webhooks(webhooks, before)
    sync(settings)
    collect(settings)
    run(commands("Backup").splitlines()[-1])  # webhooks, again and again
    deliveries = stored(settings, "SELECT count(*) AS n FROM raw.webhook_events")
    shutil.rmtree(settings.home)

    run(commands("Restore"))

    assert differences(settings, server) == []
    assert stored(settings, "SELECT count(*) AS n FROM raw.webhook_events") == deliveries
    twice = "SELECT message_key FROM core.messages GROUP BY ALL HAVING count(*) > 1"
    assert stored(settings, twice) == []
