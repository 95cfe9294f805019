"""Locks of a catalog on a PostgreSQL server: held by sessions, whatever machine they come from.

A lock is one of PostgreSQL's advisory locks, held by a session of its own: it is free when the
session ends, by the end of its process, of its machine or of the connection between. What its
holder does, and where, is a row of ``hatif_locks``, which means something only while that session
holds the lock.

A holder does not notice that its connection broke before it uses it. So `require` looks whether
everything that this process locked is still held, before each commit; and beyond that no commit
goes through on top of another's, see `Catalog.attach`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from hatif.errors import Busy
from warehouse.lake.locks import API, LIVE, READERS, REBUILD, WEBHOOKS, WRITE
from warehouse.lake.postgres import SCHEMA, Database

#: First half of the keys of all our advisory locks in a database; the second is the lock's number.
_FAMILY = 0x48617466
#: A number for each lock: never to be changed, or two versions would not see each other's locks.
_NUMBERS = {API: 1, WRITE: 2, READERS: 3, REBUILD: 4, WEBHOOKS: 5, LIVE: 6}
#: Making our tables; nothing else is locked meanwhile.
_TABLES = 0
_POLL = 1.0  # seconds until one who waits looks whether something is to be shown
_HOLDERS = f"{SCHEMA}.hatif_locks"
_LONGEST = 200
#: Notes on locks mean nothing after a crash of the server, which frees them all.
_MAKE = f"""
    CREATE UNLOGGED TABLE IF NOT EXISTS {_HOLDERS} (
        lock integer PRIMARY KEY, session integer NOT NULL, process integer NOT NULL,
        host text NOT NULL, program text NOT NULL, purpose text NOT NULL,
        since timestamptz NOT NULL
    );
    CREATE TABLE IF NOT EXISTS {SCHEMA}.hatif_requests (sent_at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS {SCHEMA}.hatif_pauses (
        asked_at timestamptz NOT NULL, until timestamptz NOT NULL
    )
"""
_SIGN = f"""
    INSERT INTO {_HOLDERS} VALUES (%s, pg_backend_pid(), %s, %s, %s, %s, clock_timestamp())
    ON CONFLICT (lock) DO UPDATE SET session = excluded.session, process = excluded.process,
        host = excluded.host, program = excluded.program, purpose = excluded.purpose,
        since = excluded.since
"""
_HELD = f"""
    SELECT objid::bigint, pid FROM pg_locks
    WHERE locktype = 'advisory' AND database = (
        SELECT oid FROM pg_database WHERE datname = current_database()
    ) AND classid::bigint = {_FAMILY} AND objsubid = 2 AND mode = 'ExclusiveLock' AND granted
"""


@dataclass(slots=True)
class _Held:
    """A lock that this process holds."""

    number: int
    session: psycopg.Connection
    pid: int


class DatabaseLocks:
    """The locks of one catalog.

    Args:
        database: that keeps it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[psycopg.Connection] = []
        self._held: list[_Held] = []
        self._guard = threading.Lock()
        self._has_tables = False

    def close(self) -> None:
        """End the sessions that hold no lock."""
        with self._guard:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    @contextmanager
    def exclusive(
        self,
        name: str,
        purpose: str,
        *,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
        patience: float = 0.0,
    ) -> Iterator[None]:
        """Hold a lock alone; see `warehouse.lake.locks.exclusive`.

        Raises:
            Busy: another process holds it and `wait` is False.
            HomeError: the database cannot be reached, or refuses.
            ConnectionLost: its session ended while it waited.
        """
        session, is_kept = self._session(), False
        held: _Held | None = None
        try:
            self._make_tables(session)
            self._take(session, name, wait=wait, waiting=waiting, patience=patience)
            held = self._sign(session, name, purpose)
            yield
        except psycopg.Error as error:
            raise self._database.lost(error) from None
        finally:
            if held is not None:
                with self._guard:
                    self._held.remove(held)
                is_kept = self._free(session, held.number)
            if is_kept:
                with self._guard:
                    self._idle.append(session)
            else:
                session.close()

    def share(self, name: str) -> Callable[[], None]:
        """Hold a lock together with others who share it; return what lets go of it.

        Raises:
            HomeError: the database cannot be reached, or refuses.
        """
        session = self._database.connect()
        try:
            session.execute("SELECT pg_advisory_lock_shared(%s, %s)", [_FAMILY, _NUMBERS[name]])
        except psycopg.Error as error:
            session.close()
            raise self._database.refusal(error) from None
        return session.close

    def holder(self, name: str) -> str | None:
        """Return who holds a lock alone; None if it is free, or shared.

        Raises:
            HomeError: the database cannot be reached, or refuses.
        """
        session = self._database.connect()
        try:
            found = self._holder(session, _NUMBERS[name])
        except psycopg.Error as error:
            raise self._database.refusal(error) from None
        finally:
            session.close()  # who only looks need not close anything
        return found

    def require(self) -> None:
        """See that every lock that this process holds alone is still its own.

        Raises:
            ConnectionLost: a session ended, and its lock with it.
        """
        with self._guard:
            ours = list(self._held)
        if not ours:
            return
        try:
            # Of the lock taken last: each session is looked at through one that may be cut, too.
            found = ours[-1].session.execute(_HELD).fetchall()
        except psycopg.Error as error:
            raise self._database.lost(error) from None
        if missing := {(held.number, held.pid) for held in ours} - set(found):
            numbers = {number: name for name, number in _NUMBERS.items()}
            listed = ", ".join(sorted(numbers[number] for number, _ in missing))
            raise self._database.lost(psycopg.OperationalError(f"connection lost: {listed}"))

    @contextmanager
    def through(self, name: str) -> Iterator[psycopg.Connection]:
        """Lend the session that holds a lock of this process, so that what is done ends with it.

        Raises:
            HomeError: the session ended (`ConnectionLost`), or a statement was refused.
        """
        number = _NUMBERS[name]
        with self._guard:
            session = next(held.session for held in self._held if held.number == number)
        try:
            yield session
        except psycopg.Error as error:
            raise self._database.lost(error) from None

    def _session(self) -> psycopg.Connection:
        """Return a session that holds nothing: one of before, if it still lives."""
        while True:
            with self._guard:
                session = self._idle.pop() if self._idle else None
            if session is None:
                return self._database.connect()
            try:
                session.execute("SELECT 1")
            except psycopg.Error:
                session.close()
            else:
                return session

    def _make_tables(self, session: psycopg.Connection) -> None:
        if self._has_tables:
            return
        try:
            with session.transaction():
                # Two that make a table at the same time are in each other's way.
                session.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_FAMILY, _TABLES])
                there = session.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.hatif_pauses"])
                if there.fetchone() == (None,):
                    session.execute(_MAKE)
        except psycopg.Error as error:
            raise self._database.refusal(error) from None
        self._has_tables = True

    def _take(
        self,
        session: psycopg.Connection,
        name: str,
        *,
        wait: bool,
        waiting: Callable[[str], None] | None,
        patience: float,
    ) -> None:
        number, began = _NUMBERS[name], time.monotonic()
        keys = [_FAMILY, number]
        if session.execute("SELECT pg_try_advisory_lock(%s, %s)", keys).fetchone() == (True,):
            return
        if not wait:
            raise Busy(f"{name} is held by {self._holder(session, number) or 'another process'}")
        announced = False
        while True:
            if waiting is not None and not announced and time.monotonic() - began >= patience:
                waiting(self._holder(session, number) or "another process")
                announced = True
            left = began + patience - time.monotonic()
            left = max(0.01, min(_POLL, left)) if waiting and not announced else _POLL
            session.execute("SELECT set_config('lock_timeout', %s, false)", [f"{left * 1e3:.0f}ms"])
            try:
                session.execute("SELECT pg_advisory_lock(%s, %s)", keys)
            except psycopg.errors.LockNotAvailable:
                continue
            finally:
                if not session.closed:
                    session.execute("SET lock_timeout = 0")
            return

    def _sign(self, session: psycopg.Connection, name: str, purpose: str) -> _Held:
        number = _NUMBERS[name]
        note = [os.getpid(), socket.gethostname(), Path(sys.argv[0]).name, purpose[:_LONGEST]]
        session.execute(_SIGN, [number, *note])
        held = _Held(number, session, session.info.backend_pid)
        with self._guard:
            self._held.append(held)
        return held

    @staticmethod
    def _free(session: psycopg.Connection, number: int) -> bool:
        """Let go of a lock; return whether its session can be used again."""
        try:
            session.execute("SELECT pg_advisory_unlock(%s, %s)", [_FAMILY, number])
        except psycopg.Error:  # it broke, and the lock with it
            return False
        return True

    def _holder(self, session: psycopg.Connection, number: int) -> str | None:
        held = session.execute(f"{_HELD} AND objid = %s", [number]).fetchone()
        if held is None:
            return None
        if session.execute("SELECT to_regclass(%s)", [_HOLDERS]).fetchone() == (None,):
            return "another process"
        note = session.execute(
            f"SELECT purpose, program, process, host, since FROM {_HOLDERS} "
            "WHERE lock = %s AND session = %s",
            [number, held[1]],
        ).fetchone()
        if note is None:
            return "another process"
        purpose, program, process, host, since = note
        when = since.astimezone(UTC) if isinstance(since, datetime) else since
        return (
            f"{purpose} ({program}, process {process} on {host}, since "
            f"{when.isoformat(timespec='seconds')})"
        )
