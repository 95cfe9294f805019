"""A lake with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template import make_home
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a home of its own."""
    return Settings.load(home=tmp_path / "home")


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    """Open for writing, tables made."""
    make_home(settings)
    with Lake(settings) as lake:
        yield lake
