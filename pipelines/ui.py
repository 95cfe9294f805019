"""``python -m pipelines.ui``: what ``make ui`` checks before it starts ``dg dev``.

``dg dev`` puts the lines of ``.env`` into the environment of its processes, over what is there.
Everywhere else the environment wins. Where the two differ it must not start, or the UI would work
in another home than the commands.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dotenv import dotenv_values

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings
from warehouse.settings.values import PREFIX


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


def main() -> int:
    """Check settings; return the exit status: 0, or 2 with one line on standard error."""
    try:
        Settings.load()
        check_agreement(Path(".env"))
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
