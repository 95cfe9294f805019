"""Clocks for one of our modules: servers that run in threads of this process go by the real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest


def set_clock(
    patch: pytest.MonkeyPatch, module: ModuleType, **functions: Callable[[], float]
) -> None:
    """Replace functions of `time` by name, as that module sees them and nothing else does."""
    patch.setattr(module, "time", SimpleNamespace(**vars(time) | functions))
