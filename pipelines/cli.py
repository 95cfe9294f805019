"""The command ``hatif``: exit 0 all done, 1 part failed and was reported, 2 usage or settings."""

from __future__ import annotations

import click

import hatif
from pipelines import cli_operations, cli_query, cli_rehearsal, cli_sync
from pipelines.cli_rejects import rejects


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hatif.__version__)
def main() -> None:
    """Hatif conversations, messages and calls in DuckDB: complete, provably so, ready for SQL."""


for _command in (
    *cli_rehearsal.COMMANDS,
    *cli_sync.COMMANDS,
    *cli_query.COMMANDS,
    *cli_operations.COMMANDS,
    rejects,
):
    main.add_command(_command)
