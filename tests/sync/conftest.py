"""A lake with nothing in it."""

from __future__ import annotations

from tests.warehouse.conftest import lake, settings

__all__ = ["lake", "settings"]
