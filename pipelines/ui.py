"""``python -m pipelines.ui``: what ``make ui`` checks before it starts ``dg dev``.

``dg dev`` puts the lines of ``.env`` into the environment of its processes, over what is there.
Everywhere else the environment wins. Where the two differ it must not start, or the UI would work
in another home than the commands.

It also links the instance that we ship into DAGSTER_HOME, unless that has one of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dotenv import dotenv_values

from hatif.errors import SettingsError
from pipelines.settings import several
from pipelines.terminal import printable
from warehouse.settings.environment import Settings
from warehouse.settings.values import PREFIX

#: For one workspace, and for several.
_INSTANCES = ("dagster.yaml", "dagster.workspaces.yaml")


def check_agreement(file: Path) -> None:
    """Compare the settings that both the environment and a ``.env`` file set.

    Raises:
        SettingsError: which differ.
    """
    values = dotenv_values(file, encoding="utf-8-sig") if file.is_file() else {}
    names = sorted(
        name
        for name, value in values.items()
        if name.startswith(PREFIX) and os.environ.get(name, value) != value
    )
    if names:
        raise SettingsError(
            f"{', '.join(names)}: set differently in the environment and in .env, and Dagster "
            "would take .env's; remove one of the two"
        )


def check_settings() -> bool:
    """Check the settings that the UI works with; return whether there are several workspaces.

    A mistake in one of several is a line on standard error, and the others are served.

    Raises:
        SettingsError: there is nothing that could be served.
    """
    workspaces = several()
    if workspaces is None:
        Settings.load()
        return False
    mistakes = workspaces.mistakes()
    if len(mistakes) == len(workspaces.names):
        raise SettingsError("; ".join(mistakes.values()))
    for name, mistake in mistakes.items():
        sys.stderr.write(f"error: {printable(name)}: {printable(mistake)}; the others are served\n")
    return True


def link_instance(home: Path, *, several_workspaces: bool) -> None:
    """Link the instance that we ship, of one workspace or of several, into a Dagster home.

    Args:
        home: the folder; a file of its own stays.
        several_workspaces: which of the two.
    """
    file = home / "dagster.yaml"
    ours = [Path(__file__).with_name(name) for name in _INSTANCES]
    if file.is_symlink() and (file.resolve() in ours or not file.exists()):
        file.unlink()
    if not file.exists():
        file.symlink_to(ours[several_workspaces])


def main() -> int:
    """Check settings; return the exit status: 0, or 2 with one line on standard error."""
    try:
        is_several = check_settings()
        check_agreement(Path(".env"))
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if home := os.environ.get("DAGSTER_HOME"):
        link_instance(Path(home), several_workspaces=is_several)
    return 0


if __name__ == "__main__":
    sys.exit(main())
