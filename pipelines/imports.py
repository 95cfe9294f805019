"""Packages that others import although a command needs none of them.

DuckDB imports pandas, where it is installed, only to see that a value it was given is none of
pandas's. No command needs it, and every command would wait a third of a second and carry 40 MB.
pyarrow imports NumPy, and does without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Packages that are not imported in this process.
_left_out = {"pandas"}


class _LeftOut(MetaPathFinder):
    """An import hook that reports packages as not installed."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in _left_out:
            raise ModuleNotFoundError(f"{name} is left out of this command", name=name)
        return None


def leave_out_pandas() -> None:
    """Install the hook in the process of a command."""
    sys.meta_path.insert(0, _LeftOut())


def leave_out_numpy() -> None:
    """See that pyarrow does without NumPy, a tenth of a second, in a command that only reads."""
    _left_out.add("numpy")
