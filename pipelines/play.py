"""``hatif rehearse --play``: a folder with settings of a made-up workspace that lives.

The workspace begins a day before now and lives thirty times as fast until it has caught up; from
then on a minute takes a minute. So the present month has messages, and nothing lies in the future.
"""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from hatif.errors import SettingsError
from pipelines.terminal import count as counted
from pipelines.terminal import own_command
from rehearsal import RehearsalServer
from rehearsal.everyday import live_a_minute
from warehouse.settings.rate_card import SAMPLE

_BEHIND = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_CONTROL = "/_rehearsal"
_FIRST_QUESTION = (
    "SELECT name, assignee, waiting_since FROM conversation_now JOIN contacts USING (contact_id) "
    "WHERE waiting_since IS NOT NULL ORDER BY waiting_since DESC LIMIT 10"
)


def begin() -> datetime:
    """Return when a workspace to play with begins: a day ago, in UTC."""
    return (datetime.now(UTC) - _BEHIND).replace(microsecond=0)


def make_folder(wanted: Path) -> Path:
    """Make a folder, which gets a number where there is one of the name; return its full path.

    Raises:
        SettingsError: it cannot be made.
    """
    for number in count(1):
        folder = (
            wanted.absolute()
            if number == 1
            else wanted.absolute().with_name(f"{wanted.name}-{number}")
        )
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise SettingsError(f"{folder}: cannot be made ({error.strerror})") from None
        return folder
    raise AssertionError


def webhooks_of(folder: Path) -> Path:
    """Return where the webhooks of a folder to play in arrive."""
    return folder / "data" / "webhooks"


def fill(folder: Path, server: RehearsalServer) -> None:
    """Write the settings and the webhooks of the workspace's past into a folder.

    Raises:
        SettingsError: the disk refuses.
    """
    settings = {
        "HATIF_BASE_URL": server.url,
        "HATIF_CLIENT_ID": server.client_id,
        "HATIF_CLIENT_SECRET": server.client_secret,
        "HATIF_HOME": str(folder / "data"),
        "HATIF_REQUESTS_PER_MINUTE": "0",
        "HATIF_WEBHOOK_SECRETS": server.webhook_secrets_setting,
        "HATIF_RATE_CARD": str(SAMPLE),
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
    file = folder / ".env"
    try:
        file.touch(0o600)
        file.write_text("".join(lines), encoding="utf-8")
        (folder / "data").mkdir(mode=0o700)
        server.write_webhooks(webhooks_of(folder))
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written ({error.strerror})") from None


def live(folder: Path, server: RehearsalServer) -> None:
    """Let a minute pass in the workspace, unless it has caught up with the present."""
    if server.now + _MINUTE <= datetime.now(UTC):
        live_a_minute(server, webhooks_of(folder))


def instructions(folder: Path, server: RehearsalServer) -> str:
    """Return what to do next: commands that work as they are, in a new terminal."""
    hatif = own_command()
    contacts = counted(server.truth_counts()["contacts"], "contact")
    lines = [
        f"A made-up workspace of {contacts} is served on {server.url} until Ctrl-C.",
        "A minute of it passes every two seconds, until it has caught up with the present.",
        "In another terminal:",
        "",
        f"  cd {shlex.quote(str(folder))}",
        f"  {hatif} sync",
        f'  {hatif} query "{_FIRST_QUESTION}"',
        f"  {hatif} page",
        "",
        "Some minutes later `sync` again brings what happened since. The settings are in .env.",
        "To let six hours pass at once, or make one request in ten fail:",
        "",
        _posted(server.url + _CONTROL, "advance", '{"hours": 6, "messages": 100}'),
        _posted(server.url + _CONTROL, "faults/rate", '{"rate": 0.1}'),
        "",
    ]
    ours = sorted(name for name in os.environ if name.startswith("HATIF_"))
    if ours:
        lines += [f"Variables of your shell win over .env; first: unset {' '.join(ours)}", ""]
    return "\n".join(lines)


def _posted(url: str, path: str, body: str) -> str:
    return f"  curl -X POST {url}/{path} -d '{body}'"
