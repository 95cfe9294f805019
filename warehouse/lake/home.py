"""The folder of a home on this machine."""

from __future__ import annotations

from pathlib import Path

from hatif.errors import HomeError
from warehouse.lake.explain import explain


def make_home(home: Path) -> None:
    """Make the home if need be, for this user alone, and try whether it can be written.

    Raises:
        HomeError: it cannot.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process tries at this moment, too
    except OSError as error:
        happened = explain(OSError(error.errno, error.strerror))
        raise HomeError(f"HATIF_HOME: cannot write to {home}: {happened}") from None
