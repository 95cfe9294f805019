"""The settings of a command, read when it runs: those that only print help need not load them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from warehouse.settings.environment import Settings
    from warehouse.settings.workspaces import Workspaces

P = ParamSpec("P")
T = TypeVar("T")

#: So many names are listed where one has to be chosen.
_LISTED = 20


def workspace_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option ``--workspace`` to a command."""
    return click.option(
        "--workspace",
        metavar="NAME",
        help="Of several workspaces (HATIF_WORKSPACES), which.",
    )(command)


def several() -> Workspaces | None:
    """Return the workspaces of ``HATIF_WORKSPACES``; None where there is one workspace.

    Raises:
        SettingsError: the environment or the file as a whole cannot be used.
    """
    from warehouse.settings.environment import Settings
    from warehouse.settings.variables import Given

    given = Given.read(Settings.model_fields)
    if "workspaces" not in given.values:
        return None
    from warehouse.settings.workspaces import Workspaces

    return Workspaces.of(given)


def load_settings(workspace: str | None = None) -> Settings:
    """Read the environment and ``.env``, and with ``HATIF_WORKSPACES`` that file.

    Args:
        workspace: the name of one of several; None where there is one.

    Raises:
        SettingsError: with one sentence a mistake; or it is not clear which workspace is meant.
    """
    from hatif.errors import SettingsError
    from warehouse.settings.environment import Settings

    workspaces = several()
    if workspaces is not None:
        return workspaces.settings(_chosen(workspaces, workspace))
    if workspace is not None:
        raise SettingsError(
            "--workspace goes with HATIF_WORKSPACES, which is not set: there is one workspace"
        )
    return Settings.load()


def require_several(option: str) -> Workspaces:
    """Return the workspaces, for an option that is about several.

    Raises:
        SettingsError: there is one.
    """
    from hatif.errors import SettingsError

    if (workspaces := several()) is None:
        raise SettingsError(f"{option} goes with HATIF_WORKSPACES, which is not set")
    return workspaces


def _chosen(workspaces: Workspaces, name: str | None) -> str:
    from hatif.errors import SettingsError

    if name is not None:
        return workspaces.find(name)
    if len(workspaces.names) > 1:
        raise SettingsError(
            f"there are several workspaces; name one by --workspace: {listed(workspaces.names)}"
        )
    return workspaces.names[0]


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of many."""
    from warehouse.settings.workspace_file import shown

    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(map(shown, names[:_LISTED])) + more
