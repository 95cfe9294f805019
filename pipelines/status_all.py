"""What ``hatif status`` shows of several workspaces: a line each."""

from __future__ import annotations

from typing import Any

import duckdb
from rich.table import Table

from hatif.errors import HatifError
from hatif.webhooks import unassigned
from pipelines.status import gather, minute
from pipelines.terminal import console, printable
from warehouse.errors import NoWarehouse
from warehouse.lake.explain import explain
from warehouse.settings.workspaces import Workspaces

#: Columns of the table where no terminal has a width.
_WIDTH = 160
#: So many ids of unknown workspaces are shown.
_NAMED = 5


def gather_all(workspaces: Workspaces) -> dict[str, Any]:
    """Return the state of each workspace, or why it cannot be told."""
    waiting = unassigned.waiting(workspaces.unassigned)
    return {
        "workspaces": {name: _state(workspaces, name) for name in workspaces.names},
        "webhooks_of_no_workspace": {
            "bodies": waiting.bodies,
            "folder": str(workspaces.unassigned),
            "workspace_ids": dict(waiting.workspaces.most_common(_NAMED)),
        },
    }


def _state(workspaces: Workspaces, name: str) -> dict[str, Any]:
    try:
        return {"state": "read", **gather(workspaces.settings(name))}
    except NoWarehouse as error:
        return {"state": "new", "error": str(error)}
    except HatifError as error:
        return {"state": "failed", "error": str(error)}
    except (duckdb.Error, OSError) as error:
        return {"state": "failed", "error": explain(error)}


def is_sound(found: dict[str, Any]) -> bool:
    """Whether the state of every workspace could be told."""
    return all(one["state"] != "failed" for one in found["workspaces"].values())


def show(found: dict[str, Any]) -> None:
    """Print it for people."""
    table = Table("workspace", show_edge=False)
    for name in ("rows", "lists due", "set aside"):
        table.add_column(name, justify="right")
    for name in ("oldest success (UTC)", "last run (UTC)", "what is wrong"):
        table.add_column(name)
    for name, one in found["workspaces"].items():
        table.add_row(printable(name), *_cells(one))
    out = console(_WIDTH)
    out.print(table)
    waiting = found["webhooks_of_no_workspace"]
    if waiting["bodies"]:
        ids = ", ".join(f"{one} ({n:,})" for one, n in waiting["workspace_ids"].items())
        named = f" They name {ids}." if ids else ""
        out.print(
            f"\nWebhooks of no known workspace: {waiting['bodies']:,}, in "
            f"{waiting['folder']}.{named} The next hatif sync of all gives them to the "
            "workspace whose client or channel the file names by then."
        )


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    if one["state"] != "read":
        wrong = "never synced" if one["state"] == "new" else one["error"]
        return ("", "", "", "", "", printable(wrong))
    streams = one["streams"].values()
    oldest = min(
        (stream["last_success"] for stream in streams if stream["last_success"]), default=None
    )
    last = one["runs"][0] if one["runs"] else None
    run = f"{minute(last['started_at'])} {last['status']}" if last else "never"
    wrong = last["error"] or "" if last and last["status"] == "failed" else ""
    return (
        f"{sum(stream['rows'] for stream in streams):,}",
        f"{sum(sum(stream['backlog'].values()) for stream in streams):,}",
        f"{one['rejects']:,}",
        minute(oldest),
        run,
        printable(wrong),
    )
