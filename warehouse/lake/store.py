"""The store of one workspace: its catalog, its lake and its locks.

All of it follows from the settings; nothing is shared between stores, so one process may have
several open.
"""

from __future__ import annotations

from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Self

from warehouse.lake.catalog import Catalog
from warehouse.lake.locks import FileLocks, Locks
from warehouse.settings.environment import Settings


@dataclass(frozen=True, slots=True)
class Store:
    """Where a workspace's data lie, and what keeps its processes out of each other's way.

    Attributes:
        catalog: with the place of the lake.
        locks: of the catalog, whatever home a process comes from.
    """

    catalog: Catalog
    locks: Locks

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the store that settings name; nothing is opened.

        Raises:
            HomeError: HATIF_CATALOG names no catalog.
        """
        catalog = Catalog.of(settings)
        return cls(catalog, _locks(catalog, settings))


def _locks(catalog: Catalog, settings: Settings) -> Locks:
    database = catalog.database
    if database is not None:
        from warehouse.lake.database_locks import DatabaseLocks

        return DatabaseLocks(database)
    file = catalog.file
    # Not Path.resolve, which ends a command with a traceback where a link leads to itself.
    if file is None or Path(realpath(file)).parent == Path(realpath(settings.home)):
        return FileLocks(settings.home)
    # Another home may have the same catalog, and another catalog may lie in the same folder.
    file = Path(realpath(file))
    return FileLocks(file.parent, f"{file.name}.")
