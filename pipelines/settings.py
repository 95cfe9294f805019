"""The settings of a command, read when it runs: those that only print help need not load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warehouse.settings.environment import Settings


def load_settings() -> Settings:
    """Read the environment and ``.env``; see `Settings.load`.

    Raises:
        SettingsError: with one sentence a mistake.
    """
    from warehouse.settings.environment import Settings

    return Settings.load()
