"""The commits of one write to a catalog on a server, recognised where an answer was lost.

A connection that is cut during a COMMIT leaves open whether it was made. So each transaction puts
an id of its own into its snapshot; before the work is done once more, the catalog is searched for
it. A commit that is still under way meanwhile does no harm: of two on top of the same snapshot only
one can be made.
"""

from __future__ import annotations

import uuid

import duckdb

from warehouse.lake.catalog import Catalog
from warehouse.lake.sql import literal


class Commits:
    """Those of one write; of a catalog in a file none are marked, since no answer gets lost.

    Args:
        catalog: that is written to.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database
        self._id = ""
        self._tried: list[str] = []

    def mark(self, connection: duckdb.DuckDBPyConnection, purpose: str) -> None:
        """Put a new id into the snapshot that the open transaction is going to make."""
        if self._database is None:
            return
        self._id = str(uuid.uuid4())
        connection.execute(
            f"CALL wh.set_commit_message('hatif', {literal(purpose)}, extra_info => '{self._id}')"
        )

    def begin(self) -> None:
        """Note that the marked transaction is about to be committed."""
        if self._database is not None:
            self._tried.append(self._id)

    def is_made(self) -> bool:
        """Whether one of the commits that ended in an error was made all the same.

        Raises:
            HomeError: the catalog's database cannot be reached: it remains open.
        """
        if self._database is None or not self._tried:
            return False
        return self._database.has_commit(self._tried)
