"""``hatif demo``: the main job on real HTTP, and a look at what it brought."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from assets.session import RunOptions
from hatif.rehearsal import RehearsalServer, WorldSpec
from hatif.settings import Settings
from pipelines import output, progress
from pipelines.sync import sync
from warehouse import status
from warehouse.lake import Lake
from warehouse.query import Query

_QUESTIONS = {
    "How did our WhatsApp messages fare, by channel?": """
        SELECT ch.name AS channel, m.direction, m.status, count(*) AS messages
        FROM messages m JOIN channels ch USING (channel_id)
        WHERE m.direction <> 'internal'
        GROUP BY ALL ORDER BY channel, direction, messages DESC
    """,
    "Which calls did we miss lately?": """
        SELECT c.started_at, ch.name AS channel, c.direction, c.status, c.ringing_seconds
        FROM calls c JOIN channels ch USING (channel_id)
        WHERE c.direction = 'inbound' AND NOT c.is_completed
        ORDER BY c.started_at DESC LIMIT 8
    """,
    "Was anything lost on the way? The certificates say:": """
        SELECT stream, verdict, count(*) AS lists, sum(distinct_ids) AS records,
            sum(requests) AS requests
        FROM scans GROUP BY ALL ORDER BY stream
    """,
}


def run(*, contacts: int, keep: bool) -> int:
    """Run the demo; return the exit status: 1 when the warehouse does not hold the truth."""
    console = Console(highlight=False)
    home = Path(tempfile.mkdtemp(prefix="hatif-demo-"))
    spec = WorldSpec(
        seed=7, contacts=contacts, conversations=contacts, events=20 * contacts, channels=2
    )
    try:
        with RehearsalServer(spec) as server:
            settings = Settings.load(
                home=home,
                catalog=None,
                lake=None,
                base_url=server.url,
                client_id=server.client_id,
                client_secret=server.client_secret,
                scope="VoxaAPI",
                requests_per_minute=0,
            )
            console.print(
                f"A made-up workspace of {contacts:,} contacts is served on {server.url}.\n"
                "It is synced through the Dagster assets, without a request budget since nobody "
                "else uses it.\n"
            )
            with progress.watcher(0) as watching:
                outcome = sync(settings, [], RunOptions(), watching)
            for complaint in outcome.complaints:
                console.print(complaint)
            equal = _compare(console, settings, server.truth_counts())
        for question, sql in _QUESTIONS.items():
            console.print(f"\n[bold]{question}[/bold]")
            with Query(settings, sql) as found:
                output.write(found, "table", sys.stdout)
        _say_what_next(console, home, keep=keep)
        return 0 if equal and outcome.ok else 1
    finally:
        if not keep:
            shutil.rmtree(home)


def _compare(console: Console, settings: Settings, truth: dict[str, int]) -> bool:
    """Show each stream's rows beside the server's own count."""
    table = Table("stream", show_edge=False)
    table.add_column("in the service", justify="right")
    table.add_column("in the warehouse", justify="right")
    table.add_column("")
    with Lake(settings, read_only=True) as lake:
        stored = {stream: status.live_rows(lake.reader(), stream) for stream in truth}
    for stream, rows in stored.items():
        same = rows == truth[stream]
        table.add_row(stream, f"{truth[stream]:,}", f"{rows:,}", "equal" if same else "DIFFERENT")
    console.print()
    console.print(table)
    return all(rows == truth[stream] for stream, rows in stored.items())


def _say_what_next(console: Console, home: Path, *, keep: bool) -> None:
    if keep:
        console.print(f"\nThe warehouse stays in {home}; ask it something:\n")
        console.print(f'  HATIF_HOME={home} .venv/bin/hatif query "FROM conversations LIMIT 5"')
    else:
        console.print("\nThe throw-away warehouse is gone; `hatif demo --keep` would keep it.")
    console.print(
        "Next: `make ui` for the Dagster UI, `hatif rehearse` for a server to play with, and the "
        "README for a first real sync."
    )
