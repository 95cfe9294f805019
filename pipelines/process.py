"""The command ``hatif`` as a process: what is set once, before anything is imported.

DuckDB imports pandas, where it is installed, only to see that a value it was given is none of
pandas's. No command needs it, and every command would wait a third of a second and carry 40 MB.
What Arrow needs for a batch goes back to the system after it: its own allocator would keep 20 MB.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """An import hook that reports pandas as not installed."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out of the commands", name=name)
        return None


def main() -> None:
    """Run the command."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.meta_path.insert(0, _NoPandas())
    from pipelines import interrupts
    from pipelines.cli import main as command

    interrupts.install()

    command()
