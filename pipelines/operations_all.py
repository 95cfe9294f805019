"""Operator commands for several workspaces, one after the other; each fails for itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import duckdb

from hatif.errors import HatifError, SettingsError
from pipelines import doctor
from pipelines.reported import echo_json
from pipelines.terminal import printable, runnable
from warehouse.errors import NoWarehouse
from warehouse.lake import maintenance
from warehouse.lake.connection import require_warehouse
from warehouse.lake.explain import explain
from warehouse.lake.schema import open_lake
from warehouse.reports.publish_all import publish_all
from warehouse.settings.environment import Settings
from warehouse.settings.workspaces import Workspaces


def maintain(workspaces: Workspaces, keep: timedelta, *, as_json: bool) -> int:
    """Maintain all; return 1 where one could not be."""
    found = {name: _maintained(workspaces, name, keep) for name in workspaces.names}
    if as_json:
        echo_json({"workspaces": found})
    for name, one in found.items():
        if "error" in one:
            _complain(name, one["error"])
        elif not as_json:
            numbers = (f"{key.replace('_', ' ')} {number:,}" for key, number in one.items())
            click.echo(f"{name}: {', '.join(numbers) or 'never synced'}")
    return 1 if any("error" in one for one in found.values()) else 0


def _maintained(workspaces: Workspaces, name: str, keep: timedelta) -> dict[str, Any]:
    """Return what maintenance freed, nothing where there is no warehouse yet, or its error."""
    try:
        settings = workspaces.settings(name)
        require_warehouse(settings)
        with open_lake(settings) as lake:
            freed = maintenance.maintain(lake, keep=keep)
    except NoWarehouse:
        return {}
    except HatifError as error:
        return {"error": str(error)}
    except (duckdb.Error, OSError) as error:
        return {"error": explain(error)}
    for step, why in freed.put_off.items():
        click.echo(f"{name}: put off to the next time: {step}: {why}", err=True)
    return dict(freed.as_numbers())


def examine(workspaces: Workspaces, *, probe: bool | None, deep: bool) -> dict[str, doctor.Report]:
    """Return the doctor's report on each."""
    return {name: _examined(workspaces, name, probe, deep) for name in workspaces.names}


def _examined(workspaces: Workspaces, name: str, probe: bool | None, deep: bool) -> doctor.Report:
    try:
        settings: Settings = workspaces.settings(name)
    except SettingsError as error:
        return doctor.unreadable(error)
    return doctor.examine(settings, probe=probe, deep=deep)


def publish(workspaces: Workspaces, file: Path | None) -> int:
    """Copy all to one file; return 1 where one could not be copied."""
    target = file or workspaces.home / "hatif.duckdb"
    done = publish_all(workspaces, target)
    for name, error in done.items():
        if error is not None:
            _complain(name, error)
    copied = sum(error is None for error in done.values())
    click.echo(f"{target}: {copied:,} of {len(done):,} workspaces")
    return 0 if copied == len(done) else 1


def _complain(name: str, error: str) -> None:
    click.echo(f"error: {runnable(printable(f'{name}: {error}'))}", err=True)
