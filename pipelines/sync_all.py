"""A sync of all workspaces: each a process of its own, several side by side.

A process holds its workspace's lock and spends its workspace's budget; one that waits for its
budget, for a dead service or for another sync, or that ends badly, holds up none of the others.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import click
from rich.table import Table

from pipelines.terminal import console, count, printable
from warehouse.settings.workspaces import Workspaces

#: Not by -c: DuckDB takes a program without a file for a notebook, and prints its progress.
_COMMAND = (sys.executable, "-P", "-m", "pipelines.process", "sync")
_ERROR = "error: "
#: Columns of the summary where no terminal has a width.
_WIDTH = 140


@dataclass(slots=True)
class Ended:
    """How the sync of a workspace went.

    Attributes:
        ok: everything was done, or left for the next run on purpose.
        errors: what went wrong.
        result: what ``hatif sync --json`` prints; empty where it did not come so far.
    """

    ok: bool = False
    errors: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The result in a word, or in how many lists are left for the next run."""
        left = sum(self.result.get("left", {}).values())
        return "failed" if not self.ok else f"left: {count(left, 'list')}" if left else "done"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"ok": self.ok, "errors": self.errors, **self.result}


class SyncAll:
    """The syncs of all workspaces.

    Args:
        workspaces: all.
        options: arguments for each.
        jobs: how many run at the same time.
    """

    def __init__(self, workspaces: Workspaces, options: Sequence[str], jobs: int) -> None:
        self._workspaces = workspaces
        self._options = options
        self._jobs = jobs
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self.ended: dict[str, Ended] = {}
        self.seconds = 0.0

    @property
    def ok(self) -> bool:
        """Whether all of them went well."""
        return all(one.ok for one in self.ended.values())

    def run(self) -> None:
        """Sync; what each prints on standard error is printed after its name.

        Raises:
            KeyboardInterrupt: Ctrl-C; every sync has stored what it had received.
        """
        began = time.monotonic()
        self.ended = {name: Ended() for name in self._workspaces.names}
        for name, mistakes in self._workspaces.mistakes().items():
            self.ended[name].errors.append(mistakes)
            _say(name, f"{_ERROR}{mistakes}")
        sound = [name for name, one in self.ended.items() if not one.errors]
        # First those that need little: a first sync can take hours.
        sound.sort(key=self._is_new)
        with self._ending(), ThreadPoolExecutor(self._jobs) as pool:
            try:
                list(pool.map(self._sync, sound))
            except BaseException:
                self._stop()
                raise
        self.seconds = time.monotonic() - began

    def _is_new(self, name: str) -> bool:
        # The receiver makes homes, too; a catalog elsewhere comes last among its like.
        return not (self._workspaces.home_of(name) / "catalog.sqlite").exists()

    def _sync(self, name: str) -> None:
        """Run one to its end."""
        with tempfile.TemporaryFile(buffering=0) as answer:
            with self._lock:
                if self._stopped:
                    return
                process = subprocess.Popen(  # noqa: S603 - this program
                    [*_COMMAND, "--workspace", name, *self._options, "--json"],
                    stdin=subprocess.DEVNULL,
                    stdout=answer,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    process_group=0,  # Ctrl-C of the terminal is passed on, once
                )
                self._running.add(process)
            one = self.ended[name]
            with process:
                for line in process.stderr or ():
                    _say(name, line.rstrip("\n"))
                    if line.startswith(_ERROR):
                        one.errors.append(line.removeprefix(_ERROR).rstrip("\n"))
            with self._lock:
                self._running.discard(process)
            answer.seek(0)
            text = answer.read()
        one.ok = process.returncode == 0
        one.result = json.loads(text) if text.startswith(b"{") else {}
        if not one.ok and not one.errors:
            one.errors.append(f"the sync ended with exit status {process.returncode}")

    def _stop(self, number: int = signal.SIGINT) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(number)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End the syncs with this process where it is told to end."""

        def end(number: int, _: FrameType | None) -> None:
            self._stop(signal.SIGTERM)
            raise SystemExit(128 + number)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, end)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def as_json(self) -> dict[str, Any]:
        """Return what ``hatif sync --json`` prints for several workspaces."""
        return {
            "workspaces": {name: one.as_json() for name, one in self.ended.items()},
            "ok": self.ok,
            "requests": sum(one.result.get("requests", 0) for one in self.ended.values()),
            "seconds": round(self.seconds, 3),
        }

    def show(self) -> None:
        """Print a table for people."""
        table = Table("workspace", "sync", show_edge=False)
        for name in ("changed", "requests", "webhook events", "set aside", "seconds"):
            table.add_column(name, justify="right")
        for name, one in self.ended.items():
            found = one.result
            changed = sum(each["rows_changed"] for each in found.get("streams", {}).values())
            numbers = (changed, *(found.get(key, 0) for key in _NUMBERS))
            cells = [f"{number:,}" for number in numbers] if found else [""] * 4
            seconds = f"{found['seconds']:.1f}" if found else ""
            table.add_row(printable(name), one.state, *cells, seconds)
        console(_WIDTH).print(table)
        bad = sum(not one.ok for one in self.ended.values())
        done = f"{len(self.ended) - bad:,} of {len(self.ended):,} workspaces done"
        click.echo(f"{done}, {self.seconds:.1f} s")


_NUMBERS = ("requests", "webhook_events", "rejects")


def _say(name: str, line: str) -> None:
    click.echo(printable(f"{name}: {line}"), err=True)
