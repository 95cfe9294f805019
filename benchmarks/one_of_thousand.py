"""``python -m benchmarks.one_of_thousand``: what one workspace asks of the database and the bucket.

    make test-cluster  # once: the servers are packages that it installs beside the environment
    PYTHONPATH=.cluster python -m benchmarks.one_of_thousand [--conversations 1000] [--active 20]

A workspace with its catalog on PostgreSQL and its lake in a bucket is synced in full, then with
nothing new, then after some conversations became active, then maintained. Printed for each:
requests to the service, processor seconds, peak memory, requests to the bucket by kind,
transactions of the database, and what both hold. docs/thousand-workspaces.md multiplies these.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import boto3
import httpx

from tests.cluster.servers import Postgres, free_port

#: A line of its log; what is not answered by 200 is in colour.
_HIT = re.compile(r'"(?:\x1b\[[0-9;]*m)*(GET|PUT|POST|HEAD|DELETE) (\S*) HTTP')


class Bucket:
    """moto's S3 server, with its log of requests."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "s3.log"
        self._read = 0
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=log,
                stderr=log,
            )
        self.environment = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }
        os.environ.update(self.environment)
        self.client = boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"])
        for _ in range(600):
            try:
                self.client.create_bucket(Bucket="hatif")
            except Exception:  # noqa: BLE001 - it is starting
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the S3 server does not answer")

    def hits(self) -> dict[str, int]:
        """Return the requests since the last call, by kind; a GET of a list is one of its own."""
        text = self._log.read_text()
        new, self._read = text[self._read :], len(text)
        kinds = (
            "LIST" if method == "GET" and "list-type" in path else method
            for method, path in _HIT.findall(new)
        )
        return dict(Counter(kinds))

    def held(self) -> tuple[int, int]:
        """Return objects and bytes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="hatif")
        sizes = [one["Size"] for page in pages for one in page.get("Contents", ())]
        self.hits()
        return len(sizes), sum(sizes)


def _database(postgres: Postgres) -> tuple[int, int]:
    """Return transactions so far, and bytes."""
    time.sleep(1.5)  # counters are written a second late
    with postgres.session() as session:
        found = session.execute(
            "SELECT xact_commit + xact_rollback, pg_database_size(datname) "
            "FROM pg_stat_database WHERE datname = 'hatif'"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _measure(
    name: str, arguments: list[str], environment: dict[str, str], postgres: Postgres, bucket: Bucket
) -> None:
    before, _ = _database(postgres)
    bucket.hits()
    began, used = time.monotonic(), os.times()
    command = [sys.executable, "-m", "benchmarks.measured", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    after = os.times()
    processor = after.children_user + after.children_system
    processor -= used.children_user + used.children_system
    hits = bucket.hits()
    transactions, size = _database(postgres)
    objects, held = bucket.held()
    said = json.loads(done.stdout)
    (peak,) = re.findall(r"peak MB (\d+)", done.stderr)
    print(
        f"{name}: {said.get('requests', 0)} requests to the service, {processor:.1f} s processor, "
        f"{time.monotonic() - began:.0f} s, {peak} MB; bucket {hits}, holds {objects} objects, "
        f"{held / 1e6:.1f} MB; database {transactions - before} transactions, {size / 1e6:.1f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_of_thousand")
    parser.add_argument("--conversations", type=int, default=1_000)
    parser.add_argument("--active", type=int, default=20)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatif-bench-")))
        (folder / "postgres").mkdir()
        folder.chmod(0o755)  # PostgreSQL has another user where this one is root
        postgres = Postgres(folder / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        with postgres.session() as session:
            session.execute("CREATE DATABASE hatif")
        bucket = Bucket(folder)
        stack.callback(bucket.process.kill)
        size = [f"--contacts={given.conversations}", f"--conversations={given.conversations}"]
        command = [sys.executable, "-m", "rehearsal", *size, f"--events={20 * given.conversations}"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(server.kill)
        assert server.stdout is not None
        words = server.stdout.readline().split()
        service = dict(part.split("=", 1) for part in words if "=" in part)
        url = next(part for part in words if part.startswith("http"))
        environment = os.environ | {
            "HATIF_BASE_URL": url,
            "HATIF_CLIENT_ID": service["client_id"],
            "HATIF_CLIENT_SECRET": service["client_secret"],
            "HATIF_HOME": str(folder / "home"),
            "HATIF_CATALOG": f"postgres:{postgres.dsn('hatif')}",
            "HATIF_LAKE": "s3://hatif/lake",
            "HATIF_REQUESTS_PER_MINUTE": "0",
        }

        def measure(name: str, *arguments: str) -> None:
            _measure(name, list(arguments), environment, postgres, bucket)

        measure("full sync", "sync", "--full")
        measure("nothing new", "sync")
        httpx.post(f"{url}/_rehearsal/actions/touch_conversations?n={given.active}")
        measure(f"{given.active} active", "sync")
        measure("maintain", "maintain")
        measure("nothing new after it", "sync")


if __name__ == "__main__":
    main()
