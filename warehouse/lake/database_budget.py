"""The request budget of a workspace whose catalog is on a PostgreSQL server.

One budget, whatever machine spends it. Requests are noted through the session that holds the lock
of those who call the service: whoever lost that sends no further request. Instants are of the
server's clock, which all machines share.
"""

from __future__ import annotations

from warehouse.lake.database_locks import DatabaseLocks
from warehouse.lake.locks import API
from warehouse.lake.postgres import SCHEMA


class DatabaseJournal:
    """The instants of the latest requests, in the catalog's database; see `hatif.budget.Journal`.

    Args:
        locks: of the catalog; ``api.lock`` is held.
    """

    def __init__(self, locks: DatabaseLocks) -> None:
        self._locks = locks

    def recent(self, now: float) -> list[float]:
        """Return the instants of the last minute on this machine's clock, oldest first."""
        with self._locks.through(API) as session:
            found = session.execute(
                "SELECT extract(epoch FROM clock_timestamp() - sent_at)::float8 AS age "
                f"FROM {SCHEMA}.hatif_requests "
                "WHERE sent_at > clock_timestamp() - interval '61 seconds' ORDER BY age DESC"
            ).fetchall()
        # One in the future: the server's clock was set back. It counts as sent just now.
        return [now - max(0.0, age) for (age,) in found]

    def restart(self, instants: list[float]) -> None:  # noqa: ARG002 - they are all there
        """Forget what is older than any window."""
        with self._locks.through(API) as session:
            # A request that was sent counts, also after a crash of the server.
            session.execute("SET synchronous_commit = on")
            session.execute(
                f"DELETE FROM {SCHEMA}.hatif_requests "
                "WHERE sent_at < clock_timestamp() - interval '1 hour'"
            )

    def append(self, instant: float) -> None:  # noqa: ARG002 - the server's clock counts
        """Note one request."""
        with self._locks.through(API) as session:
            session.execute(f"INSERT INTO {SCHEMA}.hatif_requests VALUES (clock_timestamp())")

    def close(self) -> None:
        """There is nothing to release."""


class DatabasePause:
    """The latest wait that the service requires; see `hatif.budget.PauseFile`."""

    def __init__(self, locks: DatabaseLocks, longest: float) -> None:
        self._locks = locks
        self._longest = longest

    def remaining(self) -> float:
        """Return the seconds that are left of it, 0 where none are."""
        with self._locks.through(API) as session:
            found = session.execute(
                "SELECT extract(epoch FROM max(least(until, asked_at + make_interval(secs => %s))) "
                f"- clock_timestamp())::float8 FROM {SCHEMA}.hatif_pauses "
                "WHERE asked_at <= clock_timestamp()",
                [self._longest],
            ).fetchone()
        return max(0.0, float(found[0] or 0)) if found else 0.0

    def keep(self, seconds: float) -> None:
        """Keep a wait that begins now."""
        with self._locks.through(API) as session, session.transaction():
            session.execute(f"DELETE FROM {SCHEMA}.hatif_pauses")
            session.execute(
                f"INSERT INTO {SCHEMA}.hatif_pauses VALUES "
                "(clock_timestamp(), clock_timestamp() + make_interval(secs => %s))",
                [seconds],
            )
