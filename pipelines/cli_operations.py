"""Operator commands: rebuild, publish, maintain, doctor."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hatif.errors import SettingsError
from pipelines.reported import echo_json, reported
from pipelines.settings import load_settings, require_several, several, workspace_option
from pipelines.terminal import count, printable, runnable

if TYPE_CHECKING:
    from pipelines.doctor import Report
    from warehouse.settings.workspaces import Workspaces


@click.command()
@workspace_option
@reported
def rebuild(workspace: str | None) -> int:
    """Make core and marts again from raw alone; no request is made."""
    from warehouse.lake.connection import require_warehouse
    from warehouse.lake.locks import REBUILD
    from warehouse.marts import refresh
    from warehouse.merge import messages
    from warehouse.records import rebuild as core

    settings = load_settings(workspace)
    require_warehouse(settings)
    with (
        core.open_for_rebuild(settings) as lake,
        lake.store.locks.exclusive(REBUILD, "rebuild", wait=False),
    ):
        core.rebuild(lake, lambda stream, rows: click.echo(f"{stream}: {rows:,} records"))
        done = messages.merge_all(lake)
        click.echo(f"merged: {done.messages:,} messages, {done.calls:,} calls")
        written = sum(one.written for one in refresh.rebuild(lake, settings).values())
        click.echo(f"marts: {written:,} rows")
    return 0


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--parquet",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write DIR/<schema>/<table>.parquet; DIR becomes a link to the newest copy.",
    metavar="DIR",
)
@workspace_option
@click.option(
    "--all",
    "of_all",
    is_flag=True,
    help="Copy all workspaces of HATIF_WORKSPACES to one FILE, with a first column `workspace`.",
)
@reported
def publish(file: Path | None, folder: Path | None, workspace: str | None, of_all: bool) -> int:
    """Copy core and marts to a DuckDB FILE, or to Parquet files.

    Without either, the file is hatif.duckdb in HATIF_HOME. A copy is of one instant; it takes the
    old one's place at once.
    """
    if of_all:
        if workspace is not None or folder is not None:
            raise click.UsageError("--all goes with neither --workspace nor --parquet")
        from pipelines import operations_all

        return operations_all.publish(require_several("--all"), file)
    from warehouse.reports.publish import publish as copy

    settings = load_settings(workspace)
    if file is None and folder is None:
        file = settings.home / "hatif.duckdb"
    done = copy(settings, file, folder)
    rows = sum(table.rows for table in done.tables)
    for target in filter(None, (file, folder)):
        click.echo(
            f"{target}: {count(len(done.tables), 'table')}, {count(rows, 'row')}, as of snapshot "
            f"{done.snapshot:,}"
        )
    return 0


@click.command()
@click.option(
    "--keep-days",
    type=click.IntRange(2, 36_500),
    default=30,
    show_default=True,
    help="How long states of the lake can be looked at: the last of each day.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@workspace_option
@reported
def maintain(keep_days: int, as_json: bool, workspace: str | None) -> int:
    """Keep the lake small.

    Merges files, expires snapshots, removes files that nothing refers to any more. Dagster does it
    every night. Syncs go on in between. Of several workspaces (HATIF_WORKSPACES) all, or the one
    named.
    """
    if workspace is None and (workspaces := several()) is not None:
        from pipelines import operations_all

        return operations_all.maintain(workspaces, timedelta(days=keep_days), as_json=as_json)
    from warehouse.lake import maintenance
    from warehouse.lake.connection import require_warehouse
    from warehouse.lake.schema import open_lake

    settings = load_settings(workspace)
    require_warehouse(settings)
    with open_lake(settings) as lake:
        freed = maintenance.maintain(lake, keep=timedelta(days=keep_days))
    if as_json:
        echo_json(freed.as_numbers())
    else:
        for name, number in freed.as_numbers().items():
            click.echo(f"{name.replace('_', ' ')}: {number:,}")
    for step, why in freed.put_off.items():
        click.echo(f"put off to the next time: {step}: {why}", err=True)
    return 0


@click.command()
@click.option(
    "--probe/--no-probe",
    default=None,
    help="Probe the service for what its documentation leaves open: at most 40 requests. By "
    "default only where that was never done.",
)
@click.option(
    "--deep", is_flag=True, help="Read every file of the lake and compare it with the catalog."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@workspace_option
@reported
def doctor(probe: bool | None, deep: bool, as_json: bool, workspace: str | None) -> int:
    """Check settings, credentials, clock, disk, catalog, webhooks.

    It names what to do about what is wrong, or missing. What it finds is kept in doctor.json in
    HATIF_HOME. Exit 1 if something failed, 2 if that is a setting or the home. Of several
    workspaces (HATIF_WORKSPACES) all, or the one named.
    """
    from pipelines import doctor as examination

    try:
        if workspace is None and (workspaces := several()) is not None:
            return _examine_all(workspaces, probe=probe, deep=deep, as_json=as_json)
        report = examination.examine(load_settings(workspace), probe=probe, deep=deep)
    except SettingsError as error:
        report = examination.unreadable(error)
    if as_json:
        echo_json(report.as_json())
    else:
        _show(report)
    return 2 if report.usage_is_wrong else 0 if report.ok else 1


def _examine_all(workspaces: Workspaces, *, probe: bool | None, deep: bool, as_json: bool) -> int:
    from pipelines import operations_all

    reports = operations_all.examine(workspaces, probe=probe, deep=deep)
    if as_json:
        echo_json({"workspaces": {name: one.as_json() for name, one in reports.items()}})
    else:
        for name, report in reports.items():
            click.echo(f"\n{name}")
            _show(report)
    return 0 if all(report.ok for report in reports.values()) else 1


def _show(report: Report) -> None:
    marks = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
    for finding in report.findings:
        text = runnable(printable(finding.text))
        click.echo(f"{marks[finding.status]}  {finding.check}: {text}")
        if finding.advice:
            click.echo(runnable(printable(f"         → {finding.advice}")))
    answers = [(answer.question, answer.text) for answer in report.answers]
    answers += [(answer["question"], answer["says"]) for answer in report.service_answers]
    if answers:
        click.echo("\nWhat the service does, as far as we can see:")
    for question, text in answers:
        click.echo(printable(f"  {question}: {text}"))


COMMANDS = (rebuild, publish, maintain, doctor)
