"""The command that shows the page, and writes it as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from page.filters import PERIODS
from pipelines.reported import port_option, reported
from pipelines.settings import load_settings, workspace_option

if TYPE_CHECKING:
    from warehouse.settings.environment import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@port_option(8090)
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
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the page of a period as one HTML file that needs no server, and end.",
)
@click.option(
    "--period",
    help=f"With --output: {', '.join(PERIODS)} or FROM..TO, two dates.  [default: 30d]",
)
@workspace_option
@reported
def page(
    host: str,
    port: int,
    names: tuple[str, ...],
    inbox: str,
    file: Path | None,
    period: str | None,
    workspace: str | None,
) -> int:
    """Show the warehouse in a browser, in Arabic and English.

    Conversations, costs, calls and people. It only reads. Beyond this machine it needs
    HATIF_PAGE_PASSWORD or HATIF_PAGE_PROXY. Ends on SIGTERM or Ctrl-C.
    """
    if file is not None:
        return _write(load_settings(workspace), file, period)
    if period is not None:
        raise click.UsageError("--period goes with --output")
    if not host.strip():
        raise click.UsageError("--host: must name an address; 0.0.0.0 stands for all of them")
    if inbox and not (inbox.startswith(("https://", "http://")) and "{id}" in inbox):
        raise click.UsageError("--inbox: an https:// address with {id} in it")
    settings = load_settings(workspace)
    from page.app import Options
    from page.gate import names_of
    from page.serve import serve

    options = Options(names_of(host, names), inbox=inbox)
    serve(settings, host, port, options, lambda url: click.echo(f"the page is on {url}", err=True))
    return 0


def _write(settings: Settings, file: Path, period: str | None) -> int:
    from page import report
    from page.errors import BadRequest
    from page.rows import Moment

    first, dots, last = (period or "").partition("..")
    given = {"from": first, "to": last} if dots else {"period": first}
    try:
        size = report.write(settings, file, given, Moment(datetime.now(UTC), settings.timezone))
    except BadRequest as error:
        raise click.UsageError(f"--period: {error}") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"{file}: {size:,} bytes")
    return 0


COMMANDS = (page,)
