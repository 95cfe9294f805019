"""Commands that show what is stored: query and status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.imports import leave_out_numpy
from pipelines.reported import echo_json, reported
from pipelines.settings import load_settings


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
@reported
def query(sql: str, form: Any, file: Path | None) -> int:
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
    settings = load_settings()
    if file is not None:
        require_foreign(settings, file)
    with Query(settings, sql) as found:
        if file is None:
            output.write(found, form)
        else:
            output.save(found, form, file)
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reported
def status(as_json: bool) -> int:
    """Show how each stream stands, and the next thing to do."""
    leave_out_numpy()
    from pipelines import status as report

    found = report.gather(load_settings())
    if as_json:
        echo_json(found)
    else:
        report.show(found)
    return 0


COMMANDS = (query, status)
