"""``python -m benchmarks.arrival``: from a webhook's arrival to its message in a mart.

    python -m benchmarks.arrival [--messages 1000000] [--rates 1 10 50] [--seconds 600]
        [--kills 20] [--port 3000] [--home FOLDER]

A home is filled with so many messages (or a copy of FOLDER is taken, as ``--keep`` leaves one),
and ``dg dev`` is started on it as `make ui` does, schedules and all, beside a rehearsal server
whose workspace a sync reads again and again. Deliveries arrive at each rate for so many seconds, in
a file a minute, as `hatif collect` leaves them: most in conversations of their own, each outbound,
delivered and billable. A reader asks ``marts.message_costs`` for all that are on their way, several
times a second; time runs from the write of the line until it is found. With ``--kills`` the middle
rate is sent once more, and the process that does the work is killed with SIGKILL at random moments.
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
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks.live_worker import Worker, kill
from benchmarks.merging import fill
from rehearsal import RehearsalServer, WorldSpec
from warehouse.lake import disk
from warehouse.lake.connection import Lake
from warehouse.lake.locks import READERS, Locks
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import scalar
from warehouse.lake.store import Store
from warehouse.marts import refresh
from warehouse.merge.messages import merge_all
from warehouse.reports import status
from warehouse.settings.environment import Settings

_ROOT = Path(__file__).parents[1]
_HATIF = str(Path(sys.executable).with_name("hatif"))
_GIVEN_UP = 300.0
_PATIENCE = 30.0
# What belongs to the timelines and deliveries of `merging.fill`.
_CONVERSATIONS = (
    "INSERT INTO core.conversations BY NAME SELECT conversation_id, any_value(contact_id) AS "
    "contact_id, any_value(channel_id) AS channel_id, 'open' AS status, min(occurred_at) AS "
    "created_at, max(occurred_at) AS last_activity_at FROM core.timeline_events GROUP BY ALL"
)
_CONTACTS = (
    "INSERT INTO core.contacts BY NAME SELECT DISTINCT contact_id, 'Contact' AS name, 'SA' AS "
    "country, '+966500000001' AS phone_e164, TIMESTAMPTZ '2026-01-01' AS created_at "
    "FROM core.timeline_events"
)


def _fill_core(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_CONVERSATIONS)
    connection.execute(_CONTACTS)


def make_home(home: Path, messages: int) -> None:
    """Fill a home with messages and all that is made of them."""
    settings = Settings.load(home=home)
    fill(home, messages)
    with open_lake(settings) as lake:
        lake.write("fill core", _fill_core)
        merge_all(lake)
        refresh.refresh(lake, settings)
        maintain(lake)


@dataclass
class _Arrivals:
    """Deliveries on their way, and how long those took that arrived.

    Attributes:
        waiting: when each was written, by its message's key.
        seconds: of those that a reader found.
        first: number of the first.
    """

    first: int
    waiting: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _key(number: int) -> str:
    return f"3aff0000-0000-4000-8000-{number:012x}"


def _body(number: int, messages: int) -> dict[str, object]:
    """Return a delivery in one of the conversations that `merging.fill` makes."""
    talk = random.randrange(messages // 200)
    middle = f"{talk // 65536:04x}-{talk % 65536:04x}-4000-8000-{talk:012x}"
    return {
        "channelId": f"c{talk % 4}",
        "conversationId": f"3a1e{middle}",
        "contactId": f"3a1d{middle}",
        "conversationEventId": _key(number),
        "messageId": f"wamid.arrival.{number}",
        "direction": "Outbound",
        "messageType": "Text",
        "body": f"message {number}",
        "status": "Delivered",
        "creationTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "isBillable": True,
    }


def _send(folder: Path, arrivals: _Arrivals, messages: int, rate: float, seconds: float) -> None:
    """Write deliveries at a rate, at random moments as customers do."""
    began = at = time.monotonic()
    number = arrivals.first
    while (at := at + random.expovariate(rate)) < began + seconds:
        time.sleep(max(0.0, at - time.monotonic()))
        file = folder / f"{int(time.time()) // 60}.ndjson"
        line = json.dumps(_body(number, messages)) + "\n"
        with arrivals.lock:
            arrivals.waiting[_key(number)] = time.monotonic()
        with file.open("a") as out:
            out.write(line)
        number += 1


@contextmanager
def _lease(locks: Locks) -> Iterator[None]:
    """Keep maintenance away meanwhile, and no longer."""
    release = locks.share(READERS)
    try:
        yield
    finally:
        if release is not None:
            release()


def _watch(settings: Settings, arrivals: _Arrivals, stop: threading.Event) -> None:
    """Ask for what is on its way until `stop` is set; in short transactions, as readers do."""
    locks = Store.of(settings).locks
    with closing(locks), ExitStack() as opened:
        with _lease(locks):
            lake = opened.enter_context(Lake(settings, read_only=True, holds=False))
        while not stop.is_set():
            with arrivals.lock:
                wanted = list(arrivals.waiting)
            if wanted:
                listed = ", ".join(f"'{key}'" for key in wanted)
                with _lease(locks), lake.reading() as connection:
                    found = connection.execute(
                        "SELECT message_key FROM marts.message_costs WHERE message_key >= "
                        f"'{_key(0)}' AND message_key IN ({listed})"
                    ).fetchall()
                now = time.monotonic()
                with arrivals.lock:
                    arrivals.seconds += [now - arrivals.waiting.pop(key) for (key,) in found]
            time.sleep(0.25)


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
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            # `dg dev` waits for ever for a daemon that was told to end while it started something.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _lines(home: Path) -> Iterator[bytes]:
    for file in (home / "webhooks").glob("*.ndjson"):
        yield from file.read_bytes().splitlines()


def _rate(options: argparse.Namespace, root: Path, rate: float, kills: int) -> None:
    """Send at one rate, wait for the last, and print what it took."""
    home = root / "home"
    arrivals, stop = _Arrivals(first=sum(1 for _ in _lines(home))), threading.Event()
    worker, killed = Worker(), list[int]()
    threads = [
        threading.Thread(target=_watch, args=(Settings.load(home=home), arrivals, stop)),
        threading.Thread(target=worker.watch, args=(home, stop)),
        threading.Thread(target=kill, args=(home, kills, options.seconds, stop, killed)),
    ]
    files, storage = _files(home), _size(root / "dagster")
    for thread in threads:
        thread.start()
    _send(home / "webhooks", arrivals, options.messages, rate, options.seconds)
    deadline = time.monotonic() + _GIVEN_UP
    while arrivals.waiting and time.monotonic() < deadline:
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    took = sorted(arrivals.seconds)
    print(
        f"{rate:g} a second, {len(took):,} deliveries: median {statistics.median(took):.1f} s, "
        f"95 % {took[int(0.95 * len(took))]:.1f} s, worst {took[-1]:.1f} s; not arrived "
        f"{len(arrivals.waiting)}; "
        + (f"killed {len(killed)} times; " if kills else "")
        + f"processor {worker.seconds / len(took):.3f} s a delivery; memory {worker.course}; "
        f"files in the lake {files:,} → {_files(home):,}; "
        f"Dagster's storage +{_size(root / 'dagster') - storage:.1f} MB; "
        f"load of the machine {os.getloadavg()[1]:.1f}",
        flush=True,
    )


def _files(home: Path) -> int:
    return disk.measure(home / "lake", ".parquet")[0] or 0


@contextmanager
def _syncing(environment: dict[str, str]) -> Iterator[None]:
    """One sync after the other, beside what is measured; prints how many ended, and how.

    What one wrote that did not end well is printed, with its stacks where it crashed.
    """
    stop = threading.Event()
    sync = [_HATIF, "sync", "--only", "api", "--max-requests", "200"]
    ended: Counter[int] = Counter()

    def work() -> None:
        while not stop.wait(5):
            done = subprocess.run(
                sync,
                env=environment | {"PYTHONFAULTHANDLER": "1"},
                check=False,
                capture_output=True,
                text=True,
            )
            ended[done.returncode] += 1
            if done.returncode:
                print(f"a sync ended with {done.returncode}: {done.stderr[-4_000:]}", flush=True)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        codes = ", ".join(f"{number:,} with {code}" for code, number in sorted(ended.items()))
        print(f"syncs beside it that ended, by exit code: {codes or 'none'}", flush=True)


def _measure(server: RehearsalServer, root: Path, options: argparse.Namespace) -> None:
    """Measure every rate."""
    environment = _environment(server, root)
    (root / "dagster").mkdir()
    shutil.copy(_ROOT / "pipelines" / "dagster.yaml", root / "dagster")
    (root / "home" / "webhooks").mkdir(exist_ok=True)
    alone = {name: value for name, value in environment.items() if name != "DAGSTER_HOME"}
    with _dagster(environment, options.port), _syncing(alone):
        warm_up = argparse.Namespace(**(vars(options) | {"seconds": 3}))
        print("up:", end=" ")
        _rate(warm_up, root, 1, 0)
        for rate in options.rates:
            _rate(options, root, rate, 0)
        if options.kills:
            _rate(options, root, options.rates[len(options.rates) // 2], options.kills)


def _verify(home: Path) -> None:
    """Print whether every delivery is in the marts once, and every check holds."""
    environment = {**os.environ, "HATIF_HOME": str(home)}
    done = subprocess.run(
        [_HATIF, "sync", "--only", "webhooks"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    lines = sum(1 for _ in _lines(home))
    ours = f"FROM marts.message_costs WHERE starts_with(message_key, '{_key(0)[:8]}')"
    with Lake(Settings.load(home=home), read_only=True) as lake, lake.reading() as connection:
        rows = scalar(connection, f"SELECT count(*) {ours}")
        keys = scalar(connection, f"SELECT count(DISTINCT message_key) {ours}")
        waiting = status.table_rows(connection, "ops.outdated")
    print(
        f"lines {lines:,}, messages {rows:,}, of them distinct {keys:,}, marked {waiting}; checks "
        f"{'hold' if done.returncode == 0 else done.stderr.strip()}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--home", type=Path, help="a home that --keep left")
    parser.add_argument("--keep", type=Path, help="copy the filled home there for other runs")
    options = parser.parse_args()
    # Ended from outside, too, it takes along what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    home = root / "home"
    try:
        if options.home:
            shutil.copytree(options.home, home)
        else:
            make_home(home, options.messages)
        if options.keep:
            shutil.copytree(home, options.keep)
        spec = WorldSpec(contacts=60, conversations=40, events=800)
        with RehearsalServer(spec) as server:
            _measure(server, root, options)
        _verify(home)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
