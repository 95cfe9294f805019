"""The page of commands, ``docs/commands.md``, generated from their ``--help``.

    python -m pipelines.commands > docs/commands.md

Edit the command, not the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from pipelines.cli import main

_OPENING = """# Commands

Written by `python -m pipelines.commands` from the commands themselves; edit those. Exit status: 0
all done, 1 a part failed and was reported, 2 wrong usage or settings, 130 after Ctrl-C.
"""
_WIDTH = 88


def page() -> str:
    """Return the page."""
    sections = (
        f"## {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```\n"
        for context in _contexts(main, "hatif", None)
    )
    return "\n".join([_OPENING, *sections])


def _contexts(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    """Yield a command and those below it, each as it would be called."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=_WIDTH, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _contexts(command.commands[below], below, context)


if __name__ == "__main__":
    sys.stdout.write(page())
