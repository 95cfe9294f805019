"""Commands that play the service: demo and rehearse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pipelines.reported import port_option, reported
from pipelines.terminal import own_command

if TYPE_CHECKING:
    from rehearsal import Quirks, RehearsalServer, WorldSpec


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
    """The whole product on a made-up workspace.

    It is served by the rehearsal server, and synced into a throw-away home.
    """
    from pipelines.demo import run

    return run(contacts=contacts, keep=keep, page=page)


@click.command()
@click.option(
    "--play",
    is_flag=False,
    flag_value="hatif-play",
    type=click.Path(path_type=Path),
    help="Make a folder (hatif-play here, if not given) with settings of this workspace and the "
    "webhooks of its past; time passes in it. Prints what to do next.",
)
@port_option(8765)
@click.option("--seed", default=7, show_default=True, help="The same seed, the same workspace.")
@click.option(
    "--contacts",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Size of the workspace.",
)
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
@click.option(
    "--casing",
    type=click.Choice(["camel", "pascal"]),
    default="camel",
    show_default=True,
    help="How keys are spelled.",
)
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
    play: Path | None,
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
    """Serve a made-up workspace: a stand-in for the service.

    It has the live service's quirks, faults on demand, and time that can be moved on.
    """
    from hatif.errors import SettingsError
    from rehearsal import PortUnavailable, Quirks, WorldSpec, serve
    from rehearsal.everyday import live_a_minute

    if play and (webhook_dir or webhook_url):
        raise click.UsageError("--play has webhooks of its own; leave --webhook-dir and -url out")
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
    if play:
        # The port stands in .env, and `make play` takes no option: any free one will do.
        source = click.get_current_context().get_parameter_source("port")
        ports = (port, 0) if source is ParameterSource.DEFAULT else (port,)
        _play(play, spec, Quirks(casing=casing, page_cap=page_cap), ports, faults)
        return 0

    def announce(server: RehearsalServer) -> None:
        if webhook_url:
            server.post_webhooks(webhook_url)
        hatif = own_command()
        click.echo(
            f"The rehearsal server listens on {server.url}. In another terminal, in a folder of "
            "its own:\n\n"
            f"  export HATIF_BASE_URL={server.url}\n"
            f"  export HATIF_CLIENT_ID={server.client_id}\n"
            f"  export HATIF_CLIENT_SECRET={server.client_secret}\n"
            "  export HATIF_REQUESTS_PER_MINUTE=0\n"
            f"  {hatif} sync --full\n\n"
            f"`{hatif} rehearse --play` does this and more by itself."
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


def _play(
    wanted: Path, spec: WorldSpec, quirks: Quirks, ports: tuple[int, ...], faults: float
) -> None:
    """Serve a workspace that lives, with a folder to play in, on the first port that is free.

    Raises:
        SettingsError: the folder or a port cannot be had.
    """
    from dataclasses import replace

    from hatif.errors import SettingsError
    from pipelines import play
    from rehearsal import PortUnavailable, serve

    folder = play.make_folder(wanted)

    def announce(server: RehearsalServer) -> None:
        play.fill(folder, server)
        click.echo(play.instructions(folder, server))

    for port in ports:
        try:
            serve(
                replace(spec, now=play.begin()),
                quirks,
                port,
                faults,
                announce,
                lambda server: play.live(folder, server),
                play.webhooks_of(folder),
            )
        except PortUnavailable as error:
            refused = str(error)
        else:
            return
    folder.rmdir()
    raise SettingsError(refused)


COMMANDS = (demo, rehearse)
