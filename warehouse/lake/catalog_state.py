"""What changes with every commit of a catalog: so what was read of it may be kept meanwhile.

A look costs a thousandth of opening the lake: of a file its size and time, of a database one
statement in a session that is kept.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.lake.catalog import Catalog

if TYPE_CHECKING:
    import psycopg

    from warehouse.lake.postgres import Database

State = tuple[object, ...]

#: The snapshots there are, the id that the newest was given by whoever made it (one that was taken
#: back leaves its number to the next), and the tables of rows that wait to be written to files.
_STATE = """
    SELECT min(snapshot_id), max(snapshot_id),
        (SELECT commit_extra_info FROM {0}.ducklake_snapshot_changes
         ORDER BY snapshot_id DESC LIMIT 1),
        (SELECT count(*) FROM {0}.ducklake_inlined_data_tables)
    FROM {0}.ducklake_snapshot
"""


class CatalogWatch:
    """Looks at a catalog, from several threads.

    Args:
        catalog: to look at.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._file = catalog.file
        self._database = catalog.database
        self._session: psycopg.Connection | None = None
        self._guard = threading.Lock()

    def state(self) -> State | None:
        """Return what differs after each commit; None where there is no catalog yet.

        Raises:
            HomeError: the catalog's database cannot be reached, or refuses.
        """
        if self._database is not None:
            with self._guard:
                return self._of(self._database)
        file = self._file
        if file is None:
            return None
        return tuple(_stat(file.with_name(file.name + end)) for end in ("", "-wal"))

    def close(self) -> None:
        """End the session; the next look begins another."""
        with self._guard:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _of(self, database: Database) -> State | None:
        import psycopg

        from warehouse.lake.postgres import SCHEMA

        kept = self._session
        session = kept or database.connect()
        try:
            found = session.execute(_STATE.format(SCHEMA).encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            found = None
        except psycopg.Error as error:
            session.close()
            self._session = None
            if kept is None:
                raise database.refusal(error) from None
            return self._of(database)
        self._session = session
        # What had the catalog open through a server that was started again has to be opened anew.
        return None if found is None else (session.info.backend_pid, *found)


def _stat(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    # Readers, too, make and remove an empty log.
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found.st_size else (0, 0, 0)
