"""Two homes on one catalog, all kinds of commands at once, each killed again and again.

Some seconds in CI; `CLUSTER_SECONDS=300 make test-cluster` is the long form.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from rehearsal import RehearsalServer
from tests.cluster.conftest import Stores, client
from tests.comparison import TABLES, differences, stored
from tests.conftest import Serve, settings_for
from warehouse.settings.environment import Settings

_SECONDS = float(os.environ.get("CLUSTER_SECONDS", "25"))
_ROOT = Path(__file__).parents[2]
#: What runs in each of the two homes, over and over.
_COMMANDS = (
    ("one", ("sync",), 6.0),
    ("two", ("sync", "--full"), 6.0),
    ("one", ("sync", "--only", "webhooks"), 4.0),
    ("two", ("maintain",), 5.0),
    ("one", ("query", "SELECT count(*), count(DISTINCT contact_id) FROM contacts"), None),
)
#: Requests a minute: more than the test makes in its short form, so that it does not wait.
_PER_MINUTE = 600 if _SECONDS < 60 else 120


class _Worker(threading.Thread):
    """Runs one command until the end, and kills it at random instants."""

    def __init__(
        self, words: tuple[str, ...], environment: dict[str, str], longest: float | None, seed: int
    ) -> None:
        super().__init__()
        self._words = words
        self._environment = environment
        self._longest = longest
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self.exits: Counter[int] = Counter()
        self.output: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("hatif")), *self._words],
                env=self._environment,
                cwd=_ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            try:
                longest = self._longest and self._dice.uniform(0.3, self._longest)
                process.wait(longest)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            self.exits[process.returncode] += 1
            if process.returncode not in (0, -signal.SIGKILL):
                self.output.append(output)

    def stop(self) -> None:
        """Let the command under way end, and begin no other."""
        self._over.set()
        self.join()


def _environment(settings: Settings, server: RehearsalServer, stores: Stores) -> dict[str, str]:
    return {
        **os.environ,
        "HATIF_HOME": str(settings.home),
        "HATIF_CATALOG": stores.catalog,
        "HATIF_LAKE": stores.lake,
        "HATIF_WEBHOOK_DIR": f"s3://{stores.bucket}/webhooks",
        "HATIF_WEBHOOK_SECRETS": server.webhook_secrets_setting,
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": str(_PER_MINUTE),
    }


def _run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("hatif")), *words]
    return subprocess.run(
        command, env=environment, cwd=_ROOT, capture_output=True, text=True, check=False
    )


def _most_in_a_minute(instants: list[float]) -> int:
    return max(sum(begin <= one < begin + 60 for one in instants) for begin in instants)


def test_two_homes_killed_at_random_end_in_the_truth(
    stores: Stores, serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=40, conversations=30, events=500)
    webhooks = tmp_path / "webhooks"
    server.write_webhooks(webhooks)
    for file in filter(Path.is_file, webhooks.rglob("*")):
        key = f"webhooks/{file.relative_to(webhooks)}"
        client(stores.s3).upload_file(str(file), stores.bucket, key)
    homes = {
        name: settings_for(server, tmp_path / name, **stores.settings) for name in ("one", "two")
    }
    environments = {
        name: _environment(settings, server, stores) for name, settings in homes.items()
    }
    assert _run(environments["one"], "sync", "--stream", "users").returncode == 0
    workers = [
        _Worker(words, environments[home], longest, seed)
        for seed, (home, words, longest) in enumerate(_COMMANDS)
    ]
    for worker in workers:
        worker.start()
    time.sleep(_SECONDS)
    for worker in workers:
        worker.stop()
    done = _run(environments["two"], "sync", "--full")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [worker.output for worker in workers] == [[]] * len(workers)
    assert sum(worker.exits[-signal.SIGKILL] for worker in workers) > 3
    assert differences(homes["one"], server) == []
    for table, names in TABLES.items():
        columns = ", ".join(names)
        doubles = f"SELECT {columns} FROM core.{table} GROUP BY ALL HAVING count(*) > 1"
        assert stored(homes["one"], doubles) == [], table
    versions = """
        SELECT stream, record_id FROM (
            SELECT *, lag(payload_hash) OVER (PARTITION BY stream, record_id ORDER BY seq) AS former
            FROM raw.records
        ) WHERE payload_hash = former
    """
    assert stored(homes["one"], versions) == []
    counts = "SELECT count(*) - count(DISTINCT delivery_id) AS doubles, count(*) AS rows "
    deliveries = stored(homes["two"], f"{counts} FROM raw.webhook_events")[0]
    assert deliveries["doubles"] == 0
    assert deliveries["rows"] > 0
    assert _most_in_a_minute([request.at for request in server.requests]) <= _PER_MINUTE
