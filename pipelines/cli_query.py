"""Commands that show what is stored: query and status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.imports import leave_out_numpy
from pipelines.reported import echo_json, reported
from pipelines.settings import listed, load_settings, require_several, several, workspace_option
from pipelines.terminal import printable, runnable

if TYPE_CHECKING:
    from warehouse.reports.query import Rows
    from warehouse.settings.workspaces import Workspaces


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="By default a table, or what the name of the file ends with.",
)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all rows there; a file that is there is replaced when all is written.",
)
@workspace_option
@click.option(
    "--all",
    "of_all",
    is_flag=True,
    help="Ask all workspaces of HATIF_WORKSPACES, each by itself: a first column `workspace`.",
)
@reported
def query(sql: str, form: Any, file: Path | None, workspace: str | None, of_all: bool) -> int:
    """Run SQL that reads.

    Tables of marts, core and ops need no prefix. One statement: SELECT, FROM, VALUES, WITH,
    DESCRIBE, SHOW, SUMMARIZE or EXPLAIN, over tables, joins, window functions, JSON and snapshots
    (AT, ducklake_snapshots('wh'), …). Files, other databases, extensions, settings, secrets and
    anything that writes are out of its reach. PIVOT needs the values that become columns: PIVOT …
    ON column IN ('a', 'b').

    On a terminal a long table goes to $PAGER.
    """
    from warehouse.lake.sql import names_phone_functions

    if not names_phone_functions(sql):
        leave_out_numpy()
    from pipelines import output
    from warehouse.reports.destinations import require_foreign
    from warehouse.reports.query import Query

    if form is None:
        form = "table" if file is None else file.suffix.removeprefix(".").lower()
        if form not in output.FORMATS:
            raise click.UsageError(
                "--output: give the --format, or a name that ends in .csv, .json or .parquet"
            )
    if form == "parquet" and file is None:
        raise click.UsageError("--format parquet goes with --output FILE")
    if of_all and workspace is not None:
        raise click.UsageError("--all and --workspace: give one of them")
    if of_all:
        return _query_all(sql, form, file)
    settings = load_settings(workspace)
    if file is not None:
        require_foreign(settings, file)
    with Query(settings, sql) as found:
        _put(found, form, file)
    return 0


def _put(rows: Rows, form: Any, file: Path | None) -> None:
    from pipelines import output

    if file is None:
        output.write(rows, form)
    else:
        output.save(rows, form, file)


def _query_all(sql: str, form: Any, file: Path | None) -> int:
    """Ask all workspaces; return 1 where some did not answer."""
    from warehouse.reports.destinations import require_foreign
    from warehouse.reports.query_all import QueryAll

    workspaces = require_several("--all")
    if file is not None:
        for settings in workspaces.sound():
            require_foreign(settings, file)
    with QueryAll(workspaces, sql) as found:
        if found.answered:
            _put(found, form, file)
            found.finish()
    for names, why in found.failures():
        click.echo(f"error: {runnable(printable(f'{listed(names)}: {why}'))}", err=True)
    return 2 if found.is_refused else 1 if found.failed else 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@workspace_option
@reported
def status(as_json: bool, workspace: str | None) -> int:
    """Show how each stream stands, and the next thing to do.

    Of several workspaces (HATIF_WORKSPACES) a line each, or all of the one named. Exit 1 if the
    state of one cannot be told.
    """
    leave_out_numpy()
    if workspace is None and (workspaces := several()) is not None:
        return _status_of_all(workspaces, as_json=as_json)
    from pipelines import status as report

    found = report.gather(load_settings(workspace))
    if as_json:
        echo_json(found)
    else:
        report.show(found)
    return 0


def _status_of_all(workspaces: Workspaces, *, as_json: bool) -> int:
    from pipelines import status_all as report

    found = report.gather_all(workspaces)
    if as_json:
        echo_json(found)
    else:
        report.show(found)
    return 0 if report.is_sound(found) else 1


COMMANDS = (query, status)
