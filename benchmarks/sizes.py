"""``python -m benchmarks.sizes``: everything that is done with a warehouse, at several sizes.

    python -m benchmarks.sizes [--messages 1000000 3000000 10000000] [--changed 500] [--hatif PATH]

Each size has a server (`benchmarks.grown`) and a home of its own. The steps of a home come one
after the other: a full sync, syncs with nothing changed and with one message more in some
conversations, the same number of webhook deliveries, questions, the page, maintenance, a copy to
publish and a rebuild. Printed are processor seconds, seconds on the clock and the peak memory of
each step, and for each size the processor seconds beside what the smallest size leads to expect:
as many times as there are messages for a step over all of them, as many for one over what changed.
``--hatif`` measures the command of another version instead of this one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from benchmarks.grown import EVENTS_PER_CONVERSATION, channel_id
from benchmarks.served import running

_COUNT = "SELECT count(*), count(DISTINCT conversation_id), max(sent_at) FROM core.messages"
_DAYS = (
    "SELECT date, sum(messages), sum(charged_messages) FROM marts.message_billing_daily "
    "GROUP BY date ORDER BY date DESC LIMIT 30"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A command to measure.

    Attributes:
        name: as printed.
        words: of the command.
        is_whole: whether it has to do with every message, rather than with what changed.
    """

    name: str
    words: Sequence[str]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step took: processor seconds, seconds on the clock, peak memory in MB."""

    processor: float
    clock: float
    peak: int


def _measure(command: Sequence[str], environment: dict[str, str]) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed.
    """
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    clock = time.monotonic() - began
    return Cost(used.ru_utime + used.ru_stime, clock, used.ru_maxrss // 1024)


def _deliveries(home: Path, number: int) -> None:
    """Write webhook deliveries of messages that no timeline has yet."""
    folder = home / "webhooks"
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = (
        json.dumps(
            {
                "channelId": channel_id(0),
                "conversationEventId": f"3a1f0000-0000-0000-0001-{n:012x}",
                "messageId": f"wamid.bench{n}",
                "direction": "Inbound",
                "messageType": "Text",
                "body": "هل من جديد؟",
                "status": "Delivered",
                "creationTime": now,
                "isBillable": False,
            }
        )
        for n in range(number)
    )
    (folder / "bench.ndjson").write_text("".join(f"{line}\n" for line in lines))


def _steps(home: Path) -> Iterator[Step]:
    """Yield the steps of a home in their order."""
    yield Step("full sync: api", ["sync", "--full", "--only", "api"], True)
    yield Step("messages and marts from scratch", ["sync", "--only", "models"], True)
    yield Step("sync, nothing changed", ["sync"], False)
    yield Step("grow", [], False)
    yield Step("sync, some changed: api", ["sync", "--only", "api"], False)
    yield Step("sync, some changed: models", ["sync", "--only", "models"], False)
    yield Step("deliver", [], False)
    yield Step("sync, some delivered", ["sync", "--only", "webhooks"], False)
    yield Step("status", ["status"], False)
    yield Step("query, 30 days", ["query", _DAYS], False)
    yield Step("query, all messages", ["query", _COUNT], True)
    yield Step("page as a file", ["page", "--output", str(home / "page.html")], False)
    yield Step("maintain", ["maintain"], True)
    yield Step("maintain again", ["maintain"], False)
    yield Step("sync, nothing changed, after", ["sync"], False)
    yield Step("publish", ["publish", str(home / "published.duckdb")], True)
    yield Step("rebuild", ["rebuild"], True)


def _run(hatif: str, messages: int, changed: int) -> dict[str, tuple[Step, Cost]]:
    """Take a home through its steps; print and return what each took."""
    home = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    found = {}
    try:
        with running("benchmarks.grown", str(messages // EVENTS_PER_CONVERSATION)) as url:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("HATIF_")}
            environment.pop("DAGSTER_HOME", None)
            environment |= {
                "HATIF_BASE_URL": url,
                "HATIF_CLIENT_ID": "bench",
                "HATIF_CLIENT_SECRET": "bench",
                "HATIF_HOME": str(home),
                "HATIF_REQUESTS_PER_MINUTE": "0",
            }
            for step in _steps(home):
                if step.name == "grow":
                    urlopen(f"{url}/bench/grow?conversations={changed}").close()
                elif step.name == "deliver":
                    _deliveries(home, changed)
                else:
                    cost = _measure([hatif, *step.words], environment)
                    found[step.name] = step, cost
                    print(
                        f"{messages:>10,} {step.name:34} {cost.processor:8.2f} s "
                        f"{cost.clock:8.2f} s on the clock {cost.peak:6} MB",
                        flush=True,
                    )
            size = sum(f.stat().st_size for f in home.rglob("*") if f.is_file()) / 2**20
            files = sum(f.suffix == ".parquet" for f in home.rglob("*"))
            print(f"{messages:>10,} home: {size:,.0f} MB, {files} Parquet files", flush=True)
    finally:
        shutil.rmtree(home)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--messages", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000]
    )
    parser.add_argument("--changed", type=int, default=500)
    parser.add_argument("--hatif", default=str(Path(sys.executable).with_name("hatif")))
    options = parser.parse_args()
    least: dict[str, tuple[Step, Cost]] = {}
    for messages in sorted(options.messages):
        found = _run(options.hatif, messages, options.changed)
        least = least or found
        if found is least:
            smallest = messages
            continue
        for name, (step, cost) in found.items():
            expected = least[name][1].processor * (messages / smallest if step.is_whole else 1)
            print(
                f"{messages:>10,} {name:34} {cost.processor / expected:.2f} of "
                f"{'linear' if step.is_whole else 'constant'}"
            )


if __name__ == "__main__":
    main()
