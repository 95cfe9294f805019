"""A PostgreSQL database that keeps a catalog: its connection string, its sessions, its errors.

The string is read by libpq's own rules, whatever form it has: ``key=value`` pairs, an address
``postgresql://…``, a service of ``pg_service.conf``, a socket. The password is taken out of it at
once: DuckDB gets it as a secret, so that no statement shows it.

Needs ``psycopg`` (``hatif-warehouse[cluster]``); nothing of a home with an SQLite catalog loads
this module.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import psycopg
from psycopg import conninfo

from hatif.errors import HomeError
from warehouse.errors import ConnectionLost, StoreUnavailable
from warehouse.lake.causes import Explanation
from warehouse.lake.database_errors import CHECK, explained
from warehouse.lake.database_errors import SCHEMA as SCHEMA

_PROGRAM = "hatif"
#: Seconds until a server that does not answer counts as unreachable.
_PATIENCE = "10"
#: A session that holds a lock must not outlive its machine: the server looks for it every ten
#: seconds, and gives it up after three looks in vain. No time-out of the server may end it either.
#: Settings that this server's version lacks are passed over.
_SESSION = """
    SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
        ('tcp_keepalives_idle', '20'), ('tcp_keepalives_interval', '10'),
        ('tcp_keepalives_count', '3'), ('idle_session_timeout', '0'), ('statement_timeout', '0'),
        ('idle_in_transaction_session_timeout', '0'), ('synchronous_commit', 'off')
    ) s (name, wanted) USING (name)
"""
#: Of a new session of this user in this database; ours has them at 0. Milliseconds.
_LIMITS = """
    SELECT name, reset_val || coalesce(unit, '') FROM pg_settings WHERE reset_val <> '0' AND name IN
        ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
    ORDER BY name
"""
#: The same from this side, where the string does not state it; for DuckDB's sessions as well,
#: which would wait for hours for a server that is gone.
_KEEPALIVE = {
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "50000",
}
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Database:
    """The database that a connection string names.

    Attributes:
        dsn: the string without the password.
        password: None where there is none in it; libpq may find one elsewhere.
        parameters: what the string names, without the password.
    """

    dsn: str
    password: str | None = field(repr=False)
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a connection string.

        Raises:
            HomeError: it is none.
        """
        try:
            found = conninfo.conninfo_to_dict(text)
        except psycopg.Error:  # its words can quote the password
            raise HomeError(
                "HATIF_CATALOG: is no connection string of PostgreSQL. Write postgres:host=… "
                "dbname=…, with values that hold blanks in single quotes; or postgresql://USER@"
                "HOST/DATABASE, with special characters percent-encoded"
            ) from None
        password = found.pop("password", None)
        parameters = {key: str(value) for key, value in found.items()}
        ours = {"application_name": _PROGRAM, "connect_timeout": _PATIENCE, **_KEEPALIVE}
        parameters = ours | parameters
        return cls(
            conninfo.make_conninfo("", **parameters),
            None if password is None else str(password),
            parameters,
        )

    @property
    def name(self) -> str:
        """The database for a message: without password, options or certificates."""
        shown = {key: self.parameters.get(key) for key in ("service", "user", "host", "port")}
        listed = " ".join(f"{key}={value}" for key, value in shown.items() if value)
        return " ".join(filter(None, (f"postgres:dbname={self._dbname}", listed)))

    @property
    def _dbname(self) -> str:
        return self.parameters.get("dbname") or self.parameters.get("user") or "(default)"

    def connect(self) -> psycopg.Connection:
        """Open a session in which each statement commits by itself; it may hold locks.

        Raises:
            HomeError: there is no such database, or it refuses; see `explained`.
        """
        given = {} if self.password is None else {"password": self.password}
        try:
            session = psycopg.connect(self.dsn, autocommit=True, **given)  # type: ignore[arg-type]
        except (psycopg.Error, OSError) as error:
            raise self.refusal(error) from None
        try:
            session.execute(_SESSION)
        except psycopg.Error as error:
            session.close()
            raise self.refusal(error) from None
        return session

    def try_out(self) -> str:
        """Make a table and take it back; return the server's version.

        Raises:
            HomeError: there is no such database, or it refuses.
        """
        with self.asked() as session:
            with session.transaction(force_rollback=True):
                session.execute(f"CREATE TABLE {SCHEMA}.hatif_probe (tried integer)")
            return session.info.parameter_status("server_version") or "?"

    def limits(self) -> dict[str, str]:
        """Return the time limits that end what a sync does, with their values: those that are set.

        Raises:
            HomeError: there is no such database, or it refuses.
        """
        with self.asked() as session:
            found = session.execute(_LIMITS).fetchall()
        return {str(name): str(value) for name, value in found}

    def has_catalog(self) -> bool:
        """Whether DuckLake's tables are there.

        Raises:
            HomeError: there is no such database, or it refuses.
        """
        with self.asked() as session:
            found = session.execute(
                "SELECT to_regclass(%s) IS NOT NULL", [f"{SCHEMA}.ducklake_metadata"]
            ).fetchone()
        return bool(found and found[0])

    @contextmanager
    def asked(self, *, patience: float = 0.0) -> Iterator[psycopg.Connection]:
        """Lend a session.

        Args:
            patience: seconds to wait for one, as while the server starts again.

        Raises:
            HomeError: there is no such database, or it refuses, also in the session.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                session = self.connect()
            except HomeError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)
            else:
                break
        with session:
            try:
                yield session
            except psycopg.Error as error:
                raise self.refusal(error) from None

    def waiting_bytes(self) -> int:
        """Return the bytes of the rows that wait in the catalog to be written to files.

        Raises:
            HomeError: there is no such database, or it refuses.
        """
        with self.asked() as session:
            found = session.execute(
                "SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c "
                f"WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'r' "
                "AND starts_with(relname, 'ducklake_inlined_data_')"
            ).fetchone()
        return int(found[0]) if found else 0

    def refusal(self, error: psycopg.Error | OSError) -> HomeError:
        """Return the error for a catalog that cannot be opened."""
        found = self._explained(error)
        kind = StoreUnavailable if found.passes else HomeError
        return kind(f"cannot open the catalog {self.name}: {found.text}")

    def lost(self, error: psycopg.Error) -> HomeError:
        """Return the error for a session that broke, or a statement refused in it."""
        found = self._explained(error)
        kind = ConnectionLost if found.passes else HomeError
        return kind(f"the catalog {self.name}: {found.text}")

    def _explained(self, error: psycopg.Error | OSError) -> Explanation:
        """Return what happened and what to do about it, without anything secret."""
        state = getattr(error, "sqlstate", None)
        known = {
            "dbname": self._dbname,
            "user": self.parameters.get("user") or "(that of the system)",
            "host": self.parameters.get("host") or "the local socket",
            "port": self.parameters.get("port") or "5432",
        }
        found = explained(f"{state or ''} {error}", known)
        if found is not None:
            return found
        code = f", SQLSTATE {state}" if state else ""
        return Explanation(
            f"PostgreSQL refused ({type(error).__name__}{code}). {CHECK} and the server's log",
            # What has no code was no answer to a statement: no connection came about, or it ended.
            passes=state is None and isinstance(error, psycopg.OperationalError),
        )
