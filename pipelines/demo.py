"""``hatif demo``: the main job on real HTTP, and a look at what it brought."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
import webbrowser
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from page.app import Options
from page.gate import names_of
from page.serve import serve
from pipelines import output, progress
from pipelines.sync import Outcome, sync
from pipelines.terminal import console as console_of
from pipelines.terminal import own_command, runnable
from rehearsal import RehearsalServer, WorldSpec
from sync.session import RunOptions
from warehouse.lake.connection import Lake
from warehouse.reports import status
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE

# Each answer fits into 80 columns.
_QUESTIONS = {
    "What did our messages cost? (sample rates, made up)": """
        SELECT strftime(date, '%Y-%m') AS month, country, message_type AS type, currency,
            sum(charged_messages)::BIGINT AS charged, sum(estimated_cost) AS cost,
            sum(unknown_messages)::BIGINT AS unknown
        FROM message_billing_daily WHERE direction = 'outbound'
        GROUP BY ALL HAVING charged > 0 ORDER BY month DESC, cost DESC, country LIMIT 6
    """,
    "How fast do we answer? (minutes; business time: Sun-Thu 09:00-18:00)": """
        SELECT ch.name AS channel, count(*) AS turns,
            round(100.0 * count(r.response_seconds_any) / count(*), 1) AS percent_answered,
            round(median(r.response_seconds_any) / 60, 1) AS median,
            round(median(coalesce(r.response_business_seconds, r.late_response_business_seconds))
                / 60, 1) AS business_median
        FROM response_times r JOIN channels ch USING (channel_id) GROUP BY ALL ORDER BY turns DESC
    """,
    "Who is waiting for an answer? (UTC)": """
        SELECT k.name AS contact, n.assignee,
            strftime(n.waiting_since, '%Y-%m-%d %H:%M') AS waiting_since,
            strftime(n.service_window_closes_at, '%Y-%m-%d %H:%M') AS window_closes
        FROM conversation_now n LEFT JOIN contacts k USING (contact_id)
        WHERE n.waiting_since IS NOT NULL ORDER BY n.waiting_since DESC LIMIT 5
    """,
    "Which calls did we miss lately? (UTC)": """
        SELECT strftime(c.started_at, '%Y-%m-%d %H:%M') AS started_at, ch.name AS channel,
            c.status, c.ringing_seconds, c.is_answered AS picked_up
        FROM calls c JOIN channels ch USING (channel_id)
        WHERE c.direction = 'inbound' AND NOT c.is_completed
        ORDER BY c.started_at DESC LIMIT 5
    """,
    "Was anything lost on the way? The certificates:": """
        SELECT stream, mode, verdict, count(*) AS lists, sum(requests)::BIGINT AS requests
        FROM scans GROUP BY ALL ORDER BY stream, mode
    """,
}


def run(*, contacts: int, keep: bool, page: bool) -> int:
    """Run the demo; return the exit status: 1 when the warehouse does not hold the truth.

    Args:
        contacts: size of the made-up workspace.
        keep: leave the warehouse where it is.
        page: show it in a browser in the end, until Ctrl-C.
    """
    console = console_of()
    home = Path(tempfile.mkdtemp(prefix="hatif-demo-"))
    try:
        with RehearsalServer(spec_of(contacts)) as server:
            server.write_webhooks(home / "webhooks")
            settings = settings_of(server, home)
            console.print(
                f"A made-up workspace of {contacts:,} contacts is served on {server.url}.\n"
                "It is synced without a request budget, since nothing else uses it.\n"
            )
            outcome = _sync(console, settings, "First sync, with the webhook files of its past")
            console.print("\nSix hours pass: messages, edits, deletions, more webhooks.")
            before = server.now
            server.advance(timedelta(hours=6))
            server.write_webhooks(Path(settings.webhook_location), before)
            second = _sync(console, settings, "Incremental sync")
            equal = _compare(console, settings, server.truth_counts())
            ended = server.now
        for question, sql in _QUESTIONS.items():
            console.print(Text(f"\n{question}", "bold"))
            with Query(settings, sql) as found:
                output.show(found)
        if page:
            _show_page(console, settings, ended)
        _print_next_steps(console, home, keep=keep)
        return 0 if equal and outcome.ok and second.ok else 1
    finally:
        if not keep:
            shutil.rmtree(home)


def spec_of(contacts: int) -> WorldSpec:
    """Return the made-up workspace of a demo with so many contacts."""
    return WorldSpec(
        seed=7, contacts=contacts, conversations=contacts, events=20 * contacts, channels=2
    )


def settings_of(server: RehearsalServer, home: Path) -> Settings:
    """Settings of the throw-away home, independent of the environment."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
    }
    given = {
        "home": home,
        "base_url": server.url,
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "requests_per_minute": 0,
        "webhook_secrets": server.webhook_secrets_setting,
        "rate_card": str(SAMPLE),
    }
    return Settings.load(**(defaults | given))


def _sync(console: Console, settings: Settings, what: str) -> Outcome:
    console.print(Text(what, "bold"))
    with progress.watcher(0) as watching:
        outcome = sync(settings, [], RunOptions(), watching, None, watching.stage, watching.expect)
    for complaint in outcome.complaints:
        console.print(runnable(complaint))
    console.print(outcome.summary)
    return outcome


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


def _print_next_steps(console: Console, home: Path, *, keep: bool) -> None:
    """Print commands that work in every folder, none of them cut at the width of the terminal."""
    hatif = own_command()
    keeping = f"HATIF_HOME={shlex.quote(str(home))} {hatif}"
    if keep:
        console.print(f"\nThe warehouse stays in {home}. Query it:\n", soft_wrap=True)
        steps = [("", f'{keeping} query "FROM conversations LIMIT 5"')]
    else:
        console.print("\nThe throw-away warehouse is gone. Next, for example:\n")
        steps = [("The same, kept", f"{hatif} demo --keep")]
    steps += [
        ("A workspace that lives, and the commands to try on it", f"{hatif} rehearse --play"),
        ("The page, in Arabic and English", f"{hatif} demo --page"),
    ]
    for what, command in steps:
        comment = f"  # {what}\n" if what else ""
        console.print(f"{comment}  {command}", soft_wrap=True)
    console.print(
        "\nIn the checkout, make ui serves the Dagster UI; its README leads to a first real sync."
    )


def _show_page(console: Console, settings: Settings, ended: datetime) -> None:
    """Open the page in a browser; it lives in the time of the made-up workspace."""
    began = time.monotonic()
    options = Options(
        names_of("127.0.0.1"),
        clock=lambda: ended + timedelta(seconds=time.monotonic() - began),
    )

    def announce(url: str) -> None:
        console.print(f"\nThe page is on {url} until Ctrl-C.")
        webbrowser.open(url)

    serve(settings, "127.0.0.1", 0, options, announce)
