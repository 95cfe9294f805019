"""How commands end: what they return or raise becomes one clear line and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click
import msgspec

from hatif.errors import HatifError, HomeError, SettingsError
from pipelines.terminal import printable
from warehouse.errors import OutputRefused, QueryRefused

P = ParamSpec("P")

_USAGE_ERRORS = (SettingsError, HomeError, QueryRefused, OutputRefused)


def reported(command: Callable[P, int]) -> Callable[P, None]:
    """Turn what a command returns or raises into one clear line and an exit status."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except HatifError as error:
            click.echo(f"error: {printable(str(error))}", err=True)
            status = 2 if isinstance(error, _USAGE_ERRORS) else 1
        except KeyboardInterrupt:
            click.echo("interrupted; what was stored stays", err=True)
            status = 130
        sys.exit(status)

    return run


def echo_json(value: object) -> None:
    """Print one JSON value, spread over lines."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
