"""How commands end: what they return or raise becomes one clear line and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from hatif.errors import HatifError, HomeError, SettingsError
from pipelines import interrupts
from pipelines.terminal import printable, runnable
from warehouse.errors import OutputRefused, QueryRefused

P = ParamSpec("P")

_USAGE_ERRORS = (SettingsError, HomeError, QueryRefused, OutputRefused)


def port_option(default: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return the option ``--port`` of a command that serves."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        default=default,
        show_default=True,
        help="0 picks a free one.",
    )


def reported(command: Callable[P, int]) -> Callable[P, None]:
    """Turn what a command returns or raises into one clear line and an exit status."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except HatifError as error:
            click.echo(f"error: {runnable(printable(str(error)))}", err=True)
            # What may pass, as a server that starts again, is no mistake in settings.
            is_usage = isinstance(error, _USAGE_ERRORS) and not error.transient
            status = 2 if is_usage else 1
        except KeyboardInterrupt:
            interrupts.report()
            status = interrupts.STATUS
        except Exception as error:  # noqa: BLE001 - a defect is raised again
            if interrupts.is_interruption(error):
                interrupts.report()
                status = interrupts.STATUS
            else:
                text, status = _explained(error)
                click.echo(f"error: {runnable(printable(text))}", err=True)
        sys.exit(status)

    return run


def _explained(error: Exception) -> tuple[str, int]:
    """Return a sentence for an error of DuckDB or the system, and the exit status.

    Any other is a defect and raised.
    """
    # Here, since most commands that fail before need no DuckDB.
    import duckdb

    from warehouse.lake.explain import explain, store_refusal

    if isinstance(error, BrokenPipeError) or not isinstance(error, (duckdb.Error, OSError)):
        raise error
    refusal = store_refusal(error)
    if refusal is not None:
        return str(refusal), 1 if refusal.transient else 2
    return f"the command did not end: {explain(error)}", 1


def echo_json(value: object) -> None:
    """Print one JSON value, spread over lines."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
