"""What ``hatif status`` shows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from hatif.settings import Settings
from warehouse import status
from warehouse.lake import Lake


def gather(settings: Settings) -> dict[str, Any]:
    """Read the state of all streams and the latest runs.

    Raises:
        HomeError: there is no warehouse yet.
    """
    with Lake(settings, read_only=True) as lake:
        connection = lake.reader()
        return {
            "streams": {found.stream: _plain(found) for found in status.streams(connection)},
            "rejects": status.open_rejects(connection),
            "runs": status.last_runs(connection),
            "requests_per_minute": settings.requests_per_minute,
        }


def _plain(found: status.StreamStatus) -> dict[str, Any]:
    cursor = json.loads(found.cursor) if found.cursor else None
    return asdict(found) | {"cursor": cursor}


def show(found: dict[str, Any]) -> None:
    """Print it for people."""
    console = Console(highlight=False, width=None if Console().is_terminal else 140)
    table = Table("stream", show_edge=False)
    for name in ("rows", "deleted", "lists", "repaired", "uncertified", "rejects"):
        table.add_column(name, justify="right")
    table.add_column("last success (UTC)")
    for stream in found["streams"].values():
        numbers = [stream[n] for n in ("rows", "deleted", "lists", "repaired", "uncertified")]
        table.add_row(
            stream["stream"],
            *(f"{number:,}" for number in numbers),
            f"{stream['rejects']:,}",
            _minute(stream["last_success"]),
        )
    console.print(table)
    console.print()
    runs = Table("run began (UTC)", "mode", "status", "requests", "error", show_edge=False)
    for run in found["runs"]:
        requests = "" if run["requests"] is None else f"{run['requests']:,}"
        runs.add_row(
            _minute(run["started_at"]), run["mode"], run["status"], requests, run["error"] or ""
        )
    console.print(runs)


def _minute(instant: Any) -> str:
    return "never" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
