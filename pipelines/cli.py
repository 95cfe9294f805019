"""The command ``hatif``: exit 0 all done, 1 part failed and was reported, 2 usage or settings."""

from __future__ import annotations

from typing import Any

import click

import hatif
from pipelines import cli_live, cli_operations, cli_page, cli_query, cli_rehearsal, cli_sync
from pipelines.cli_rejects import rejects


class _Commands(click.Group):
    """The group of all commands; takes no argument that is not text."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments.

        Raises:
            click.UsageError: one is not UTF-8; neither SQL nor a message could carry it.
        """
        for number, argument in enumerate(args, 1):
            try:
                argument.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"argument {number} is not valid UTF-8") from None
        return super().make_context(info_name, args, parent, **extra)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hatif.__version__)
def main() -> None:
    """Hatif conversations, messages and calls in DuckDB: complete, provably so, ready for SQL."""


for _command in (
    *cli_rehearsal.COMMANDS,
    *cli_sync.COMMANDS,
    *cli_live.COMMANDS,
    *cli_query.COMMANDS,
    *cli_page.COMMANDS,
    *cli_operations.COMMANDS,
    rejects,
):
    main.add_command(_command)
