"""``python -m benchmarks.page``: views of the page, first and again, sizes, memory, many viewers.

    python -m benchmarks.page [--messages 1000000] [--requests 1000] [--viewers 20]

Core is filled by SQL as in ``benchmarks.marts``. The page is a process of its own, asked over HTTP.
For each view: the first answer, the same from the same snapshot, and the size of the reply. Then
its memory before and after many requests for different days; then a write transaction beside
viewers who ask without a pause, and alone, in turns.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx

from benchmarks.marts import fill
from page.view import find
from warehouse.lake.schema import open_lake
from warehouse.marts import refresh
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE

_PER_CONVERSATION = 50
_SYNC_ROWS = 2_000
_ROUNDS = 7


@contextmanager
def _served(home: Path) -> Iterator[tuple[str, int]]:
    """The page as a process: its address and its process id."""
    command = [str(Path(sys.executable).with_name("hatif")), "page", "--port", "0"]
    environment = {**os.environ, "HATIF_HOME": str(home), "HATIF_RATE_CARD": str(SAMPLE)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        try:
            yield server.stderr.readline().split()[-1].rstrip("/"), server.pid
        finally:
            server.terminate()


def _memory(process: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024
    return 0.0


def _views(client: httpx.Client) -> None:
    print("view        first s   again ms     KB   KB sent")
    period = {"from": "2026-08-03", "to": "2026-10-31"}
    for view in find():
        began = time.monotonic()
        reply = client.get(f"/data/view/{view}", params=period)
        first = time.monotonic() - began
        reply.raise_for_status()
        again = []
        for _ in range(_ROUNDS):
            began = time.monotonic()
            client.get(f"/data/view/{view}", params=period)
            again.append(time.monotonic() - began)
        sent = reply.num_bytes_downloaded / 1_024
        middle = 1_000 * statistics.median(again)
        size = len(reply.content) / 1_024
        print(f"{view:10} {first:8.2f} {middle:10.1f} {size:6.1f} {sent:8.1f}")


def _many(client: httpx.Client, process: int, requests: int) -> None:
    day = date(2026, 10, 31)
    measured = []
    for number in range(requests):
        span = {"from": str(day - timedelta(days=number % 300 + 7)), "to": str(day)}
        client.get("/data/view/volume", params=span).raise_for_status()
        if number in (requests // 4, requests - 1):
            measured.append(_memory(process))
    print(f"memory after {requests // 4}: {measured[0]:.0f} MB, {requests}: {measured[-1]:.0f} MB")


def _write(home: Path, number: int) -> tuple[float, float]:
    """Write messages as a sync would; return seconds on the clock and of the processor."""
    began, used = time.monotonic(), time.process_time()
    with open_lake(Settings.load(home=home, rate_card=str(SAMPLE))) as lake:
        lake.write(
            "beside the page",
            lambda c: c.execute(
                "INSERT INTO core.messages BY NAME SELECT * REPLACE (message_key || ? AS "
                "message_key) FROM core.messages LIMIT ?",
                [f"-{number}", _SYNC_ROWS],
            ),
        )
    return time.monotonic() - began, time.process_time() - used


def _beside(settings: Settings, url: str, viewers: int) -> None:
    """Measure a write, in a process of its own, with and without viewers in turns."""
    failed: list[int] = []
    busy, stopped = threading.Event(), threading.Event()

    def view(views: itertools.cycle[str]) -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while not stopped.is_set():
                busy.wait(1)
                if busy.is_set():
                    reply = client.get(f"/data/view/{next(views)}")
                    if reply.status_code != 200:
                        failed.append(reply.status_code)
                    time.sleep(1)

    threads = [
        threading.Thread(target=view, args=(itertools.cycle(find()),)) for _ in range(viewers)
    ]
    for thread in threads:
        thread.start()
    alone, beside = [], []
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as writer:
        writer.submit(_write, settings.home, -1).result()
        for number in range(_ROUNDS):
            busy.clear()
            time.sleep(1)
            alone.append(writer.submit(_write, settings.home, 2 * number).result())
            busy.set()
            time.sleep(1)
            beside.append(writer.submit(_write, settings.home, 2 * number + 1).result())
    stopped.set()
    for thread in threads:
        thread.join()
    clock, processor = (
        statistics.median(one[n] for one in beside) / statistics.median(one[n] for one in alone)
        for n in range(2)
    )
    print(
        f"a write beside {viewers} viewers takes {clock:.2f} times as long, {processor:.2f} times "
        f"the processor's time; {len(failed)} failed"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--viewers", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hatif-bench-") as folder:
        settings = Settings.load(home=Path(folder), rate_card=str(SAMPLE))
        with open_lake(settings) as lake:
            lake.write(
                "fill core", lambda connection: fill(connection, chosen.messages, _PER_CONVERSATION)
            )
            refresh.rebuild(lake, settings)
        with (
            _served(settings.home) as (url, process),
            httpx.Client(base_url=url, timeout=120) as client,
        ):
            _views(client)
            _many(client, process, chosen.requests)
            _beside(settings, url, chosen.viewers)


if __name__ == "__main__":
    main()
