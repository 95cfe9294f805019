"""Webhooks of several workspaces: one receiver for all, and what belongs to none yet."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import threading
import time
from collections import defaultdict

import click

from hatif.errors import SettingsError
from hatif.webhooks import receiver, unassigned
from hatif.webhooks.routing import Route, Router
from hatif.webhooks.segments import try_directory
from hatif.webhooks.signatures import Secrets
from pipelines.terminal import count, printable
from warehouse.settings.workspaces import Workspaces

#: A process of its own, so that the receiver stays without a database.
_CHANNELS = (sys.executable, "-P", "-m", "pipelines.process", "query", "--all")
_SQL = "SELECT channel_id FROM core.channels"
#: Seconds after which channels are looked up anew.
_EVERY = 3_600.0


def collect(workspaces: Workspaces, host: str, port: int) -> None:
    """Receive the webhooks of all workspaces until a signal.

    Raises:
        CannotListen: the address is taken or not ours.
        HomeError: the folder of what belongs to none cannot be written to.
    """
    router = router_of(workspaces)
    threading.Thread(target=_keep_learning, args=(router,), daemon=True).start()
    receiver.collect(
        workspaces.unassigned,
        Secrets(),
        host,
        port,
        lambda url: click.echo(f"receiving webhooks on {url}", err=True),
        router,
    )


def router_of(workspaces: Workspaces) -> Router:
    """Return who takes which webhooks; a workspace that cannot take any is reported."""
    routes = []
    for name in workspaces.names:
        try:
            settings = workspaces.settings(name)
            directory = settings.webhook_directory
            try_directory(directory)
        except (SettingsError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
            kept = f"its webhooks are kept in {workspaces.unassigned}"
            click.echo(printable(f"error: {name}: {why}; {kept}"), err=True)
        else:
            routes.append(Route(name, directory, settings.secrets, workspaces.workspace_id(name)))
    return Router(routes, workspaces.unassigned, is_sole=len(workspaces.names) == 1)


def assign(workspaces: Workspaces) -> None:
    """Give webhooks that belonged to no workspace to those whose they are by now."""
    if not unassigned.waiting(workspaces.unassigned).bodies:
        return
    router = router_of(workspaces)
    learn(router)
    try:
        given = unassigned.assign(router)
    except OSError as error:
        folder = workspaces.unassigned
        click.echo(f"error: webhooks in {folder} cannot be given out: {error.strerror}", err=True)
        return
    for name, number in given.items():
        click.echo(f"{name}: {count(number, 'webhook')} that waited for this workspace", err=True)


def learn(router: Router) -> None:
    """Look up the channels that the warehouses know; those that cannot be asked teach nothing."""
    done = subprocess.run(  # noqa: S603 - this program
        [*_CHANNELS, _SQL, "--format", "csv"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    channels: dict[str, list[str]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(done.stdout)):
        channels[row["workspace"]].append(row["channel_id"])
    router.learn(channels)


def _keep_learning(router: Router) -> None:
    while True:
        learn(router)
        time.sleep(_EVERY)
