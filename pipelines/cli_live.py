"""The command ``hatif live``: webhook files worked off as they come."""

from __future__ import annotations

import os
import select
import signal
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING

import click

from pipelines.reported import reported
from pipelines.settings import load_settings, workspace_option
from pipelines.terminal import count, printable

if TYPE_CHECKING:
    from sync.live import Report


#: Seconds for which a word on standard input lets the process go on.
_LEASE = 120.0


@click.command()
@click.option(
    "--reports",
    is_flag=True,
    help="How Dagster's sensor starts it: print a JSON object after each pass, leave large "
    "backlogs to a run, and end when standard input ends or is silent for two minutes.",
)
@workspace_option
@reported
def live(reports: bool, workspace: str | None) -> int:
    """Work off webhook files within seconds of their arrival.

    Ends on SIGTERM or Ctrl-C. Does what `hatif sync --only webhooks` does whenever a file is new or
    has grown. One at a time in a home; `make ui` starts one.
    """
    from sync.live import INLINED_ROWS, Live
    from warehouse.lake.locks import LIVE
    from warehouse.lake.schema import open_lake

    settings = load_settings(workspace)
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if reports:
        Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    with (
        open_lake(settings, inlined_rows=INLINED_ROWS) as lake,
        lake.store.locks.exclusive(LIVE, "live", wait=False),
    ):
        show = _show_json if reports else _show_line
        Live(lake, settings, show, leaves_backlog=reports).run(stop)
    return 0


def _wait_for_end(stop: Event) -> None:
    """Set `stop` when standard input ends, or brings nothing for long: nobody wants it any more."""
    while select.select([sys.stdin], [], [], _LEASE)[0] and os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()


def _show_json(report: Report) -> None:
    import msgspec

    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def _show_line(report: Report) -> None:
    for sentence in report.broken:
        click.echo(f"error: {printable(sentence)}", err=True)
    if report.passes:
        click.echo(
            f"{count(report.deliveries, 'webhook event')}, {count(report.rejects, 'reject')}, "
            f"{report.seconds:.1f} s"
        )


COMMANDS = (live,)
