"""Commands that play the service: demo and rehearse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.reported import port_option, reported


@click.command()
@click.option(
    "--contacts",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Size of the made-up workspace.",
)
@click.option("--keep", is_flag=True, help="Keep the warehouse and print where it is.")
@click.option("--page", is_flag=True, help="Open the page on it in the end, until Ctrl-C.")
@reported
def demo(contacts: int, keep: bool, page: bool) -> int:
    """The whole product against the built-in rehearsal server, in a throw-away home."""
    from pipelines.demo import run

    return run(contacts=contacts, keep=keep, page=page)


@click.command()
@port_option(8765)
@click.option("--seed", default=7, show_default=True, help="The same seed, the same workspace.")
@click.option("--contacts", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--conversations", type=click.IntRange(min=0), help="As many as contacts, if not given."
)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    help="Timeline events; twenty a conversation, if not given.",
)
@click.option("--campaigns", is_flag=True, help="The workspace has sent campaigns, too.")
@click.option(
    "--faults",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of requests that go wrong.",
)
@click.option("--casing", type=click.Choice(["camel", "pascal"]), default="camel")
@click.option(
    "--page-cap", type=click.IntRange(min=1), help="Cap pages silently at so many records."
)
@click.option("--webhook-url", help="Post webhooks there; a minute passes every two seconds.")
@click.option(
    "--webhook-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write webhooks there as files; a minute passes every two seconds.",
)
@reported
def rehearse(
    port: int,
    seed: int,
    contacts: int,
    conversations: int | None,
    events: int | None,
    campaigns: bool,
    faults: float,
    casing: Any,
    page_cap: int | None,
    webhook_url: str | None,
    webhook_dir: Path | None,
) -> int:
    """A stand-in for the service: its live quirks, faults on demand, time that can be moved on."""
    from hatif.errors import SettingsError
    from rehearsal import PortUnavailable, Quirks, RehearsalServer, WorldSpec, serve
    from rehearsal.everyday import live_a_minute

    conversations = contacts if conversations is None else conversations
    try:
        spec = WorldSpec(
            seed=seed,
            contacts=contacts,
            conversations=conversations,
            events=20 * conversations if events is None else events,
            campaigns=campaigns,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def announce(server: RehearsalServer) -> None:
        if webhook_url:
            server.post_webhooks(webhook_url)
        click.echo(
            f"The rehearsal server listens on {server.url}. In another terminal:\n\n"
            f"  export HATIF_BASE_URL={server.url}\n"
            f"  export HATIF_CLIENT_ID={server.client_id}\n"
            f"  export HATIF_CLIENT_SECRET={server.client_secret}\n"
            "  hatif sync --full\n"
        )

    def live(server: RehearsalServer) -> None:
        if webhook_url or webhook_dir:
            live_a_minute(server, webhook_dir)

    try:
        quirks = Quirks(casing=casing, page_cap=page_cap)
        serve(spec, quirks, port, faults, announce, live, webhook_dir)
    except PortUnavailable as error:
        raise SettingsError(str(error)) from None
    return 0


COMMANDS = (demo, rehearse)
