"""``python -m benchmarks.beside_dlt``: the same service read by dlt's REST source, in one run.

    python -m benchmarks.beside_dlt [--rows 100000] [--rounds 3] [--parents 1000] [--page 1000]

dlt is installed into a virtual environment that is thrown away, so that the project does not depend
on it. Two comparisons:

- rows a second of a first load of timelines, from a server that has its pages rendered; dlt as it
  does it by default, and set up for speed (JSON left alone, files loaded as Parquet);
- incremental syncs, each after a quarter of an hour of changes, in requests; and after eight quiet
  days and a last sync, what is missing, deleted but stored, or out of date beside the rehearsal
  server's own truth. dlt reads as its documentation has it, and once more tuned by hand
  (`benchmarks.dlt_source`). To lose nothing it would have to read everything each time, which is
  what its first run costs.

The server's life follows `--seed`. Where a first load of dlt is not whole, the second comparison
says so, names the conversations whose events it lacks, and ends with exit 1: dlt 1.31 binds the
cursor of an incremental resource anew for each page of its parents (`Incremental.bind`), so where a
channel has more conversations than one page, all but the first events count as seen. Pages are as
long as the service allows, so that this needs more than 1,000 conversations in a channel; with
`--page 500` and 1,000 parents it is seen each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.__main__ import measure, pages_served
from rehearsal import RehearsalServer, WorldSpec
from tests.comparison import stored
from warehouse.settings.environment import Settings

_DLT = ("dlt[duckdb,parquet]==1.31.0", "duckdb==1.5.5")
_SOURCE = Path(__file__).with_name("dlt_source.py")
#: The longest page that the service allows.
_PAGE = 1_000
#: Of lists that a first load of dlt lacks so many are named.
_SHOWN = 5
#: What happens between two syncs: messages and calls, receipts, edits that move no time, and more.
_LIFE: dict[str, Any] = {
    "messages": 40,
    "status_changes": 20,
    "deleted_contacts": 3,
    "deleted_conversations": 1,
    "tag_changes": 5,
    "contact_edits": 5,
}
#: What must not happen any more before the last sync.
_QUIET: dict[str, Any] = {name: 0 for name in _LIFE if name != "messages"} | {"messages": 1}
#: Table, its key and a column that changes; table, key and column of dlt.
_COMPARED = (
    ("timeline_events", "event_id", "status", "timelines", "event_id", "status"),
    ("contacts", "contact_id", "name", "contacts", "id", "name"),
    ("contact_history", "history_id", "property_name", "contact_history", "id", "property_name"),
)


@contextmanager
def _dlt() -> Iterator[Path]:
    """A Python that has dlt."""
    with tempfile.TemporaryDirectory(prefix="hatif-dlt-") as directory:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, directory], check=True)
        python = Path(directory) / "bin" / "python"
        subprocess.run([uv, "pip", "install", "-q", "-p", python, *_DLT], check=True)
        yield python


def _load(
    python: Path, how: str, url: str, who: tuple[str, str], directory: str, page: int = 500
) -> dict[str, Any]:
    command = [str(python), str(_SOURCE), how, url, *who, directory, str(page)]
    environment = os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _full(python: Path, rows: int, rounds: int) -> None:
    ratios: dict[str, list[float]] = {"default": [], "timelines": []}
    with pages_served(rows) as url:
        for _ in range(rounds):
            ours = measure(url)
            print(f"full load: hatif {ours.rate:15,.0f} rows/s, {ours.peak} MB", flush=True)
            for how, found in ratios.items():
                with tempfile.TemporaryDirectory() as directory:
                    theirs = _load(python, how, url, ("bench", "bench"), directory)
                rate = theirs["rows"]["timelines"] / theirs["seconds"]
                found.append(ours.rate / rate)
                print(
                    f"full load: dlt {how:9} {rate:8,.0f} rows/s, {theirs['peak']} MB", flush=True
                )
    for how, found in ratios.items():
        print(f"median of {rounds}: {statistics.median(found):.1f} times dlt's rate, {how}")


def _hatif(server: RehearsalServer, home: str) -> None:
    environment = os.environ | {
        "HATIF_HOME": home,
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_REQUESTS_PER_MINUTE": "0",
        # Every list that dlt reads each time is read each time.
        "HATIF_INTERVALS": "contacts=0s,conversations=0s",
    }
    command = [str(Path(sys.executable).with_name("hatif")), "sync", "--only", "api"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def _incremental(python: Path, parents: int, seed: int, page: int) -> bool:
    """Compare incremental syncs; return whether every first load was whole."""
    spec = WorldSpec(seed=seed, contacts=parents, conversations=parents, events=20 * parents)
    with RehearsalServer(spec) as server, tempfile.TemporaryDirectory() as root:
        who = (server.client_id, server.client_secret)
        homes = {name: f"{root}/{name}" for name in ("hatif", "textbook", "tuned")}

        def sync(name: str) -> int:
            before = len(server.requests)
            if name == "hatif":
                _hatif(server, homes[name])
            else:
                _load(python, name, server.url, who, homes[name], page)
            return len(server.requests) - before

        firsts = {name: sync(name) for name in homes}
        lacking = [
            f"{name} is not whole after its first load: {what}"
            for name, home in homes.items()
            if (what := _lacking(server, _rows_of(name, home)))
        ]
        print(*lacking, sep="\n", flush=True)
        sync("hatif")  # what of the first world had not settled has its turn
        later: dict[str, list[int]] = {name: [] for name in homes}
        for _ in range(3):
            server.advance(timedelta(minutes=15), **_LIFE)
            for name in homes:
                later[name].append(sync(name))
        server.advance(timedelta(days=8), **_QUIET)
        for name in homes:
            sync(name)
        for name, home in homes.items():
            print(
                f"incremental: {name:8} first {firsts[name]:6,} requests, then "
                f"{statistics.median(later[name]):6,.0f}; {_judged(server, _rows_of(name, home))}",
                flush=True,
            )
    return not lacking


Rows = dict[str, dict[str, str]]


def _rows_of(name: str, home: str) -> Rows:
    return _warehouse(home) if name == "hatif" else _theirs(home)


def _lacking(server: RehearsalServer, rows: Rows) -> str:
    """Say which conversations' events are missing and why that can be; empty where none is."""
    truth = {row["event_id"]: row["conversation_id"] for row in server.truth("timeline_events")}
    missing = truth.keys() - rows["timeline_events"].keys()
    if not missing:
        return ""
    parents = sorted({truth[event] for event in missing})
    channels = Counter(row["channel_id"] for row in server.truth("conversations"))
    return (
        f"{len(missing):,} of {len(truth):,} events are missing, in {len(parents):,} "
        f"conversations, such as {', '.join(parents[:_SHOWN])}; the longest channel has "
        f"{max(channels.values()):,} conversations"
    )


def _warehouse(home: str) -> Rows:
    settings = Settings.load(home=Path(home))
    return {
        table: {
            row["key"]: row["value"]
            for row in stored(
                settings,
                f"SELECT {key} AS key, {column} AS value FROM core.{table} "
                "WHERE deleted_at IS NULL",
            )
        }
        for table, key, column, _, _, _ in _COMPARED
    }


def _theirs(home: str) -> Rows:
    with duckdb.connect(f"{home}/dlt.duckdb", read_only=True) as connection:
        return {
            table: dict(
                connection.execute(f"SELECT lower({key}), {column} FROM hatif.{source}").fetchall()
            )
            for table, _, _, source, key, column in _COMPARED
        }


def _judged(server: RehearsalServer, rows: Rows) -> str:
    """Count what is missing, what is stored though deleted, and what is out of date."""
    missing = deleted = stale = 0
    for table, key, column, _, _, _ in _COMPARED:
        truth = {row[key]: row[column] for row in server.truth(table)}
        ours = rows[table]
        missing += len(truth.keys() - ours.keys())
        deleted += len(ours.keys() - truth.keys())
        stale += sum(_word(truth[one]) != _word(ours[one]) for one in truth.keys() & ours.keys())
    return f"{missing:,} rows missing, {deleted:,} deleted but stored, {stale:,} out of date"


def _word(value: str | None) -> str:
    """A word whichever way it is spelt."""
    return str(value).replace("_", "").lower()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parents", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=WorldSpec().seed)
    parser.add_argument("--page", type=int, default=_PAGE, help="rows a page that dlt asks for")
    options = parser.parse_args()
    with _dlt() as python:
        if options.rounds:
            _full(python, options.rows, options.rounds)
        is_whole = _incremental(python, options.parents, options.seed, options.page)
    sys.exit(0 if is_whole else 1)


if __name__ == "__main__":
    main()
