"""``python -m benchmarks.arrival``: from a webhook file's arrival to its message in a mart.

    python -m benchmarks.arrival [--files 10] [--port 3000]

A rehearsal server is synced into a throw-away home, and ``dg dev`` is started on it as `make ui`
does, schedules and all. Then files with one event each are dropped at odd moments. Time runs from
the file's last byte until a reader finds its message in ``marts.message_costs``. A first file, not
counted, shows when the sensor is up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rehearsal import RehearsalServer, WorldSpec
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_ROOT = Path(__file__).parents[1]
_GIVEN_UP = 600.0


def _environment(server: RehearsalServer, root: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HATIF_")},
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_HOME": str(root / "home"),
        "DAGSTER_HOME": str(root / "dagster"),
        "VIRTUAL_ENV": str(_ROOT / ".venv"),
    }


@contextmanager
def _dagster(environment: dict[str, str], port: int) -> Iterator[None]:
    """Dagster's web server and daemon, and all they start, in a group of their own."""
    dg = Path(sys.executable).with_name("dg")
    with subprocess.Popen(
        [dg, "dev", "--host", "127.0.0.1", "--port", str(port)],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _drop(directory: Path, lake: Lake, number: int) -> str:
    """Write a delivery of an outbound message, delivered and billable; return its key."""
    with lake.reading() as connection:
        talk, contact, channel = connection.execute(
            "SELECT conversation_id, contact_id, channel_id FROM core.conversations "
            "ORDER BY conversation_id LIMIT 1"
        ).fetchone() or (None, None, None)
    key = f"3a1f0000-0000-4000-8000-{number:012x}"
    body = {
        "channelId": channel,
        "conversationId": talk,
        "contactId": contact,
        "conversationEventId": key,
        "messageId": f"wamid.{number}",
        "direction": "Outbound",
        "messageType": "Text",
        "body": f"message {number}",
        "status": "Delivered",
        "creationTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "isBillable": True,
    }
    directory.mkdir(exist_ok=True)
    (directory / f"{number}.json").write_text(json.dumps(body))
    return key


def _arrived(lake: Lake, key: str) -> float:
    """Wait for the message; return after how many seconds it was there."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _GIVEN_UP:
        with lake.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM marts.message_costs WHERE message_key = ?", [key]
            ).fetchone()
        if found:
            return waited
        time.sleep(0.25)
    raise SystemExit(f"not in the mart after {_GIVEN_UP:.0f} s")


def _measure(server: RehearsalServer, root: Path, options: argparse.Namespace) -> list[float]:
    environment = _environment(server, root)
    (root / "dagster").mkdir()
    shutil.copy(_ROOT / "pipelines" / "dagster.yaml", root / "dagster")
    hatif = Path(sys.executable).with_name("hatif")
    alone = {name: value for name, value in environment.items() if name != "DAGSTER_HOME"}
    alone["HATIF_REQUESTS_PER_MINUTE"] = "0"
    subprocess.run([hatif, "sync", "--full"], check=True, env=alone, capture_output=True)
    settings = Settings.load(home=root / "home")
    directory = root / "home" / "webhooks"
    seconds = []
    with _dagster(environment, options.port), Lake(settings, read_only=True) as lake:
        print(f"up after {_arrived(lake, _drop(directory, lake, 0)):.1f} s", flush=True)
        for number in range(1, options.files + 1):
            time.sleep(random.uniform(0, 15))
            seconds.append(_arrived(lake, _drop(directory, lake, number)))
            print(f"file {number}: {seconds[-1]:.1f} s", flush=True)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--port", type=int, default=3000)
    options = parser.parse_args()
    # Ended from outside, too, it takes along what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    try:
        spec = WorldSpec(contacts=60, conversations=40, events=800)
        with RehearsalServer(spec) as server:
            seconds = _measure(server, root, options)
    finally:
        shutil.rmtree(root)
    print(f"median {statistics.median(seconds):.1f} s, largest {max(seconds):.1f} s")


if __name__ == "__main__":
    main()
