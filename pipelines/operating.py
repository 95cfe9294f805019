"""Commands for whoever runs the warehouse: copies for others."""

from __future__ import annotations

from pathlib import Path

import click

from hatif.settings import Settings
from pipelines.output import count
from pipelines.reported import reported


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--parquet",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write DIR/<schema>/<table>.parquet; DIR becomes a link to the newest copy.",
    metavar="DIR",
)
@reported
def publish(file: Path | None, folder: Path | None) -> int:
    """Copy core and marts to a plain DuckDB FILE, or to Parquet files.

    Without either, the file is hatif.duckdb in HATIF_HOME. A copy is of one instant; it takes the
    old one's place at once.
    """
    from warehouse.publish import publish as copy

    settings = Settings.load()
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


COMMANDS = (publish,)
