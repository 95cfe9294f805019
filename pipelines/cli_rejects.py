"""The commands ``hatif rejects``: list, acknowledge, reopen and replay what was set aside."""

from __future__ import annotations

import getpass
import os

import click

from pipelines.reported import reported
from pipelines.settings import load_settings, workspace_option
from pipelines.terminal import runnable


def _account() -> str:
    """Return the name of the account that runs this; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


_AFTERWARDS = (
    "Reasons are explained in docs/webhooks.md. After a fix: hatif rejects replay. To let some be: "
    "hatif rejects ack ID… --why WHY"
)


@click.group(invoke_without_command=True)
@click.option("--raw", is_flag=True, help="Show the text of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@workspace_option
@click.pass_context
def rejects(context: click.Context, raw: bool, as_json: bool, workspace: str | None) -> None:
    """What was set aside: why, where, and another try."""
    if context.invoked_subcommand is not None and (raw or as_json or workspace):
        raise click.UsageError(
            "--raw, --json and --workspace stand after the name of the command: list"
        )
    if context.invoked_subcommand is None:
        context.invoke(rejects_list, raw=raw, as_json=as_json, workspace=workspace)


@rejects.command("list")
@click.option("--raw", is_flag=True, help="Show the text of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@workspace_option
@reported
def rejects_list(raw: bool, as_json: bool, workspace: str | None) -> int:
    """List those that wait, the oldest first.

    With who acknowledged them, and why.
    A webhook file is named as it is named now, and called gone where it is no longer there.
    """
    from pipelines.output import write
    from warehouse.reports import reject_places
    from warehouse.reports.query import Query

    settings = load_settings(workspace)
    with Query(settings, reject_places.listing(settings, raw=raw, for_people=not as_json)) as found:
        write(found, "json" if as_json else "table")
    if not as_json:
        click.echo(runnable(_AFTERWARDS), err=True)
    return 0


_WHICH = click.argument("ids", nargs=-1, metavar="[ID]...")
_STREAM = click.option("--stream", metavar="NAME", help="All that wait of one stream.")
_WHO = click.option("--by", default=_account, help="Who; by default the account's name.")


@rejects.command("ack")
@_WHICH
@_STREAM
@click.option("--why", required=True, help="Why they may stay as they are.")
@_WHO
@workspace_option
@reported
def rejects_ack(
    ids: tuple[str, ...], stream: str | None, why: str, by: str, workspace: str | None
) -> int:
    """Let some be as they are: they fail no run any more.

    They stay set aside and are shown. IDs as `hatif rejects` shows them. `hatif rejects reopen`
    withdraws it.
    """
    from warehouse import acknowledgements
    from warehouse.lake.connection import require_warehouse
    from warehouse.lake.schema import open_lake

    if not why.strip() or not by.strip():
        raise click.UsageError("--why and --by: must not be empty")
    settings = load_settings(workspace)
    require_warehouse(settings)
    with open_lake(settings) as lake:
        known = lake.write(
            "acknowledge rejects",
            lambda c: acknowledgements.acknowledge(
                c, acknowledgements.find(c, ids, stream), by.strip(), why.strip()
            ),
        )
    click.echo(f"{known:,} acknowledged")
    return 0


rejects.add_command(rejects_ack, "dismiss")


@rejects.command("reopen")
@_WHICH
@_STREAM
@_WHO
@workspace_option
@reported
def rejects_reopen(ids: tuple[str, ...], stream: str | None, by: str, workspace: str | None) -> int:
    """Withdraw that: they count as failures again."""
    from warehouse import acknowledgements
    from warehouse.lake.connection import require_warehouse
    from warehouse.lake.schema import open_lake

    settings = load_settings(workspace)
    require_warehouse(settings)
    with open_lake(settings) as lake:
        open_again = lake.write(
            "withdraw acknowledgements",
            lambda c: acknowledgements.withdraw(c, acknowledgements.find(c, ids, stream), by),
        )
    click.echo(f"{open_again:,} open again")
    return 0


@rejects.command("replay")
@workspace_option
@reported
def rejects_replay(workspace: str | None) -> int:
    """Try all again with this version and these settings.

    Exit 1 if some are still bad.
    """
    from hatif.streams import keys_of_streams
    from hatif.wire import Spelling
    from warehouse.lake.connection import require_warehouse
    from warehouse.lake.schema import open_lake
    from warehouse.models.model import wire_keys
    from warehouse.replay import replay

    settings = load_settings(workspace)
    require_warehouse(settings)
    with open_lake(settings) as lake:
        done = replay(lake, settings.secrets, Spelling(wire_keys() | keys_of_streams()))
    click.echo(f"{done.settled:,} settled, {done.left:,} still set aside")
    if done.settled:
        click.echo(runnable("run: hatif sync --only models"))
    return 1 if done.left else 0
