"""Commands that bring data in: sync reads the service, collect receives webhooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hatif.streams import STREAMS, stream_named
from pipelines.reported import echo_json, port_option, reported
from pipelines.settings import load_settings, several, workspace_option

if TYPE_CHECKING:
    from warehouse.settings.environment import Settings
    from warehouse.settings.workspaces import Workspaces

#: Options of a sync of all workspaces that each gets as they are.
_FLAGS = ("full", "accept_deletes", "no_wait")


def _stream_names(_: click.Context, __: click.Parameter, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        stream = stream_named(name)
        if stream is None:
            raise click.BadParameter(f"no stream is called {name}; there are {', '.join(STREAMS)}")
        found.append(stream.name)
    return found


@click.command()
@click.option("--full", is_flag=True, help="Read everything again and reconcile.")
@click.option(
    "--accept-deletes", is_flag=True, help="Lift the brake on deletions for this run (with --full)."
)
@click.option(
    "--only",
    type=click.Choice(["api", "webhooks", "models"]),
    help="Only read the service, only the webhook files, or only compute tables. The last two "
    "send no request.",
)
@click.option(
    "--stream",
    "streams",
    metavar="NAME",
    multiple=True,
    callback=_stream_names,
    help="Only this stream; repeat.",
)
@click.option(
    "--max-requests", type=click.IntRange(min=1), help="Stop cleanly after so many HTTP attempts."
)
@click.option("--no-wait", is_flag=True, help="Exit 1 if another sync is under way.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@workspace_option
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Of several workspaces, so many at the same time.",
)
@reported
def sync(
    full: bool,
    accept_deletes: bool,
    only: str | None,
    streams: list[str],
    max_requests: int | None,
    no_wait: bool,
    as_json: bool,
    workspace: str | None,
    jobs: int,
) -> int:
    """Read into the warehouse what changed since the last sync.

    Never synced, or with --full, it reads everything. Of several workspaces (HATIF_WORKSPACES) all
    are synced, side by side, or the one named.
    """
    if accept_deletes and not full:
        raise click.UsageError("--accept-deletes goes with --full")
    if streams and only not in (None, "api"):
        raise click.UsageError(f"--stream does not go with --only {only}")
    if workspace is None and (workspaces := several()) is not None:
        return _sync_all(workspaces, jobs, as_json=as_json)
    settings = load_settings(workspace)
    if only in (None, "api"):
        settings.credentials()
    from hatif.unreachable import insecure
    from pipelines import interrupts, progress
    from pipelines import sync as job
    from pipelines.terminal import printable, runnable
    from sync.session import RunOptions

    interrupts.install(interrupts.STORING)
    _choose_dagster_home(settings)
    options = RunOptions(
        full=full,
        accept_deletes=accept_deletes,
        max_requests=max_requests,
        wait=not no_wait,
        waiting=lambda holder: click.echo(f"waiting for {holder}", err=True),
    )
    if only in (None, "api") and (warning := insecure(settings.base_url)):
        click.echo(f"warning: {warning}", err=True)
    with progress.watcher(settings.requests_per_minute) as watching:
        outcome = job.sync(
            settings, streams, options, watching, only, watching.stage, watching.expect
        )
    for complaint in outcome.complaints:
        click.echo(f"error: {runnable(printable(complaint))}", err=True)
    for note in outcome.notes:
        click.echo(f"note: {runnable(printable(note))}", err=True)
    if outcome.stopped:
        click.echo(runnable(printable(outcome.stopped)), err=True)
    if as_json:
        echo_json(outcome.as_json())
    else:
        click.echo(outcome.summary)
    return 0 if outcome.ok else 1


def _sync_all(workspaces: Workspaces, jobs: int, *, as_json: bool) -> int:
    """Sync all workspaces with the options of this command."""
    from pipelines import interrupts, webhooks_all
    from pipelines.sync_all import SyncAll

    interrupts.install(interrupts.STORING)
    given = click.get_current_context().params
    options = [f"--{name.replace('_', '-')}" for name in _FLAGS if given[name]]
    options += [f"--stream={name}" for name in given["streams"]]
    options += [
        f"--{name.replace('_', '-')}={given[name]}"
        for name in ("only", "max_requests")
        if given[name] is not None
    ]
    webhooks_all.assign(workspaces)
    syncs = SyncAll(workspaces, options, jobs)
    syncs.run()
    if as_json:
        echo_json(syncs.as_json())
    else:
        syncs.show()
    return 0 if syncs.ok else 1


def _choose_dagster_home(settings: Settings) -> None:
    """Let the sync be shown by the UI of this folder; one of several workspaces by none."""
    if settings.workspace is not None:
        os.environ.pop("DAGSTER_HOME", None)
    elif found := dagster_home_here():
        os.environ["DAGSTER_HOME"] = found


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@port_option(8080)
@click.option(
    "--test",
    "is_test",
    is_flag=True,
    help="Send a signed test delivery to the receiver that runs there, and end.",
)
@workspace_option
@reported
def collect(host: str, port: int, is_test: bool, workspace: str | None) -> int:
    """Receive webhooks: each is on disk before it is answered. Ends on SIGTERM or Ctrl-C."""
    from hatif.webhooks import receiver

    if not host.strip():
        raise click.UsageError("--host: must name an address; 0.0.0.0 stands for all of them")
    if workspace is None and (workspaces := several()) is not None:
        if is_test:
            raise click.UsageError("--test goes with --workspace NAME")
        from pipelines import webhooks_all

        webhooks_all.collect(workspaces, host, port)
        return 0
    settings = load_settings(workspace)
    if is_test:
        return _send_test_delivery(settings, host, port)
    receiver.collect(
        settings.webhook_directory,
        settings.secrets,
        host,
        port,
        lambda url: click.echo(f"receiving webhooks on {url}", err=True),
    )
    return 0


def _send_test_delivery(settings: Settings, host: str, port: int) -> int:
    """Send it; every address of a receiver on all of them includes the machine's own."""
    from hatif.webhooks import receiver, trial
    from pipelines.terminal import runnable

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - none is bound
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}{receiver.PATH}"
    if settings.workspace is not None:
        url += f"/{settings.workspace}"
    how = trial.send(url, settings.secrets)
    following = runnable("hatif sync --only webhooks")
    click.echo(f"{url} stored a test delivery, {how}. Now: {following}")
    return 0


def dagster_home_here() -> str | None:
    """Return the Dagster home that ``make ui`` made in this folder, None without one.

    Its UI shows the home of this folder. So a sync of another home, or one for which DAGSTER_HOME
    is set, if only to nothing, is not recorded there.
    """
    folder = Path(".dagster").absolute()
    elsewhere = {"DAGSTER_HOME", "HATIF_HOME"} & os.environ.keys()
    return str(folder) if not elsewhere and (folder / "dagster.yaml").is_file() else None


COMMANDS = (sync, collect)
