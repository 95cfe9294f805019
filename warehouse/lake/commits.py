"""The commits of one write to a catalog on a server, recognised where an answer was lost.

A connection that is cut during a COMMIT leaves open whether it was made. So each transaction puts
an id of its own into its snapshot, and the catalog is searched for it before the work is done once
more. A commit that is still under way meanwhile does no harm: of two on top of the same snapshot
only one can be made.

DuckLake takes a commit without an answer for one that failed, and removes the files that it had
written, which the snapshot names (tried: 1.0). Such a snapshot, the newest one, is taken back: by
the write that made it or, if its process was killed, when the lake is next opened for writing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from warehouse.lake.catalog import Catalog
from warehouse.lake.marker import place_of
from warehouse.lake.sql import literal


class Commits:
    """Those of one write; of a catalog in a file none are marked, since no answer gets lost.

    Args:
        catalog: that is written to.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._id = ""

    def mark(self, connection: duckdb.DuckDBPyConnection, purpose: str) -> None:
        """Put a new id into the snapshot that the open transaction is going to make."""
        if self._database is None:
            return
        self._id = str(uuid.uuid4())
        connection.execute(
            f"CALL wh.set_commit_message('hatif', {literal(purpose)}, extra_info => '{self._id}')"
        )

    def is_made(self) -> bool:
        """Whether the marked commit, which ended in an error, was made all the same, and whole.

        One that lost its files is taken back. The caller holds the write lock.

        Raises:
            HomeError: the catalog's database cannot be reached: it remains open.
        """
        if self._database is None:
            return False
        from warehouse.lake.database_commits import has_commit

        return has_commit(self._database, self._id) and not take_back_broken(self._catalog)


def take_back_broken(catalog: Catalog) -> bool:
    """Take back the newest snapshot where files of it are gone; return whether that was done.

    The caller holds the write lock.

    Raises:
        HomeError: the database or the lake cannot be used.
    """
    database = catalog.database
    if database is None:
        return False
    from warehouse.lake.database_commits import newest, take_back

    snapshot, files = newest(database)
    if not files or not place_of(catalog).missing(files):
        return False
    take_back(database, snapshot)
    return True


@contextmanager
def keeping_files(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> Iterator[None]:
    """Keep DuckLake from removing files while a commit that moves rows is made.

    Rows that were merged or moved out of the catalog are nowhere else, so such a commit cannot be
    taken back. In a bucket its files stay, since DuckDB has no credentials meanwhile; one that
    failed leaves orphans. No other thread or process reads the lake at such a time.
    """
    bucket = catalog.bucket
    if bucket is None or catalog.database is None:
        yield
        return
    connection.execute(bucket.secret(is_shut=True))
    try:
        yield
    finally:
        connection.execute(bucket.secret())
