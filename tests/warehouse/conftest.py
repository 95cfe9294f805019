"""A lake with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a home of its own."""
    return Settings.load(home=tmp_path / "home")


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    """Open for writing, tables made."""
    with Lake(settings) as lake:
        lake.write("make the tables", schema.create)
        yield lake
