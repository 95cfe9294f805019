"""The command that shows the page, and writes it as a file."""

from __future__ import annotations

import click

from pipelines.reported import reported
from warehouse.settings.environment import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8090,
    show_default=True,
    help="0 picks a free one.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A further name that the page is reached by, of a proxy for example; repeat.",
)
@click.option(
    "--inbox",
    default="",
    metavar="URL",
    help="Address of a conversation in Hatif's portal, with {id} where its id goes: conversations "
    "then link to it.",
)
@reported
def page(host: str, port: int, names: tuple[str, ...], inbox: str) -> int:
    """Show conversations, costs, calls and people in a browser, in Arabic and English.

    It only reads. Beyond this machine it needs HATIF_PAGE_PASSWORD. Ends on SIGTERM or Ctrl-C.
    """
    if not host.strip():
        raise click.UsageError("--host: must name an address; 0.0.0.0 stands for all of them")
    if inbox and not (inbox.startswith(("https://", "http://")) and "{id}" in inbox):
        raise click.UsageError("--inbox: an https:// address with {id} in it")
    settings = Settings.load()
    from page.app import Options
    from page.gate import names_of
    from page.serve import serve

    options = Options(names_of(host, names), inbox=inbox)
    serve(settings, host, port, options, lambda url: click.echo(f"the page is on {url}", err=True))
    return 0


COMMANDS = (page,)
