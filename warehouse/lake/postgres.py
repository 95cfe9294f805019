"""A PostgreSQL database that keeps a catalog: its connection string, its sessions, its errors.

The string is read by libpq's own rules, whatever form it has: ``key=value`` pairs, an address
``postgresql://…``, a service of ``pg_service.conf``, a socket. The password is taken out of it at
once: DuckDB gets it as a secret, so that no statement shows it.

Needs ``psycopg`` (``hatif-warehouse[cluster]``); nothing of a home with an SQLite catalog loads
this module.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import psycopg
from psycopg import conninfo

from hatif.errors import HomeError
from warehouse.errors import ConnectionLost

#: Schema of the database in which DuckLake keeps its tables, and this program those of its locks.
SCHEMA = "public"
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
#: The same from this side, where the string does not state it.
_KEEPALIVE = {
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "50000",
}
_CHECK = "Check HATIF_CATALOG"
_POLL = 0.5
_RIGHTS = (
    f"A sync makes tables in schema {SCHEMA}: make the user the owner of the database, or GRANT "
    f"CREATE, USAGE ON SCHEMA {SCHEMA}. Whoever only reads needs SELECT on the tables"
)
#: Cause by PostgreSQL's code or words: what happened, and what to do. Codes of SQLSTATE are not
#: known where the server refuses the connection, so its words are read there, too.
_CAUSES = (
    (
        r"3D000|database .* does not exist",
        "there is no database {dbname}",
        f"{_CHECK}, or make it: createdb {{dbname}}",
    ),
    (
        r"28P01|password authentication failed|no password supplied|SCRAM",
        "the password of user {user} was refused, or none was given",
        f"{_CHECK}, PGPASSWORD or ~/.pgpass",
    ),
    (
        r"role .* does not exist|Peer authentication|Ident authentication",
        "there is no user {user}, or not for this machine",
        f"{_CHECK}",
    ),
    (
        r"28000|no pg_hba.conf entry",
        "user {user} may not connect to database {dbname} from this machine",
        "Let pg_hba.conf admit it, or connect with SSL",
    ),
    (
        r"42501|permission denied",
        "user {user} lacks a right in database {dbname}",
        _RIGHTS,
    ),
    (
        r"53300|too many (clients|connections)|remaining connection slots",
        "the server has no connection to spare",
        "Raise max_connections, or run less at once; a command needs four",
    ),
    (
        r"57P0[123]|starting up|shutting down|recovery mode|in recovery",
        "the server is starting or stopping",
        "Run it again in a minute",
    ),
    (
        r"25006|read-only transaction",
        "the server only reads: it is a standby, or set to default_transaction_read_only",
        "Name the primary in HATIF_CATALOG",
    ),
    (
        r"resolve host|translate host name",
        "there is no host of that name: {host}",
        _CHECK,
    ),
    (
        r"Connection refused|No such file or directory|is the server running",
        "no server answers at {host} port {port}",
        f"{_CHECK}, and that PostgreSQL runs and listens there",
    ),
    (
        r"timeout|timed out|No route|unreachable",
        "{host} port {port} does not answer",
        f"{_CHECK}, and the network and firewalls between",
    ),
    (r"definition of service|service file", "there is no such service", "Check pg_service.conf"),
    (r"\bSSL\b|certificate", "no SSL connection comes about", "Check sslmode and certificates"),
    (
        r"53100|No space left",
        "the disk of the database's server is full",
        "Make room there, and run it again",
    ),
    (
        r"server closed|connection.*(closed|lost|reset)|terminating connection|Broken pipe|EOF",
        "the connection was cut",
        "Run it again; if it happens again, look at the server's log",
    ),
)


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
        parameters = {"application_name": _PROGRAM, "connect_timeout": _PATIENCE} | parameters
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
        given = {key: value for key, value in _KEEPALIVE.items() if key not in self.parameters}
        if self.password is not None:
            given["password"] = self.password
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
        return HomeError(f"cannot open the catalog {self.name}: {self.explained(error)}")

    def lost(self, error: psycopg.Error) -> ConnectionLost:
        """Return the error for a session that broke, or a statement refused in it."""
        return ConnectionLost(f"the catalog {self.name}: {self.explained(error)}")

    def explained(self, error: psycopg.Error | OSError) -> str:
        """Return what happened and what to do about it, without anything secret."""
        words = f"{getattr(error, 'sqlstate', None) or ''} {error}"
        known = {
            "dbname": self._dbname,
            "user": self.parameters.get("user") or "(that of the system)",
            "host": self.parameters.get("host") or "the local socket",
            "port": self.parameters.get("port") or "5432",
        }
        for pattern, happened, advice in _CAUSES:
            if re.search(pattern, words, re.IGNORECASE):
                return f"{happened.format(**known)}. {advice.format(**known)}"
        state = getattr(error, "sqlstate", None)
        code = f", SQLSTATE {state}" if state else ""
        return f"PostgreSQL refused ({type(error).__name__}{code}). {_CHECK} and the server's log"
