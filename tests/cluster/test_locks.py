"""Locks of a catalog on a server: seen from every machine, free when their holder ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hatif.errors import Busy
from tests.cluster.conftest import Stores
from warehouse.errors import ConnectionLost
from warehouse.lake.connection import Lake
from warehouse.lake.database_locks import DatabaseLocks
from warehouse.lake.locks import API, PURPOSES, READERS, WRITE
from warehouse.lake.schema import open_lake
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

_HOLD = """
import sys
from pathlib import Path
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings
settings = Settings.load(home=Path(sys.argv[1]), catalog=sys.argv[2], lake=sys.argv[3])
with Store.of(settings).locks.exclusive(sys.argv[4], "a long sync"):
    print("held", flush=True)
    sys.stdin.read()
"""


def settings_of(stores: Stores, home: Path) -> Settings:
    return Settings.load(home=home, **stores.settings)


def locks_of(stores: Stores, home: Path) -> DatabaseLocks:
    locks = Store.of(settings_of(stores, home)).locks
    assert isinstance(locks, DatabaseLocks)
    return locks


def hold(stores: Stores, home: Path, name: str) -> subprocess.Popen[str]:
    """Hold a lock in another process until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home), stores.catalog, stores.lake, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("name", list(PURPOSES))
def test_a_lock_held_from_one_home_is_held_for_all_and_names_its_holder(
    stores: Stores, tmp_path: Path, name: str
) -> None:
    one, two = locks_of(stores, tmp_path / "one"), locks_of(stores, tmp_path / "two")
    with closing(one), closing(two):
        with one.exclusive(name, "a long sync"):
            holder = two.holder(name)
            assert holder is not None
            assert "a long sync (" in holder
            assert f"on {socket.gethostname()}, since 2" in holder
            with pytest.raises(Busy, match="a long sync"), two.exclusive(name, "x", wait=False):
                pass
            others = [other for other in PURPOSES if other != name]
            assert [two.holder(other) for other in others] == [None] * len(others)
        assert two.holder(name) is None
        with two.exclusive(name, "x", wait=False):
            pass


def test_a_lock_is_free_when_its_holder_is_killed(stores: Stores, tmp_path: Path) -> None:
    process = hold(stores, tmp_path / "one", API)
    waited_for: list[str] = []

    def kill(holder: str) -> None:
        waited_for.append(holder)
        process.kill()

    with (
        closing(locks_of(stores, tmp_path / "two")) as locks,
        locks.exclusive(API, "next", waiting=kill),
    ):
        pass
    assert len(waited_for) == 1
    assert f"process {process.pid} on" in waited_for[0]
    process.communicate()


def test_two_threads_of_one_process_keep_each_other_out(stores: Stores, tmp_path: Path) -> None:
    with closing(locks_of(stores, tmp_path)) as locks, locks.exclusive(WRITE, "first"):
        refused: list[Exception] = []

        def take() -> None:
            try:
                with locks.exclusive(WRITE, "second", wait=False):
                    pass
            except Busy as error:
                refused.append(error)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_readers_share_a_lock_and_keep_maintenance_out(stores: Stores, tmp_path: Path) -> None:
    settings = settings_of(stores, tmp_path / "one")
    with open_lake(settings):
        pass
    with closing(locks_of(stores, tmp_path / "two")) as locks:
        with Lake(settings, read_only=True), Lake(settings, read_only=True):
            assert locks.holder(READERS) is None
            with pytest.raises(Busy), locks.exclusive(READERS, "maintenance", wait=False):
                pass
        with locks.exclusive(READERS, "maintenance", wait=False):
            pass


@pytest.mark.parametrize("name", [API, WRITE])
def test_a_holder_whose_session_was_cut_does_not_commit(
    stores: Stores, tmp_path: Path, name: str
) -> None:
    def work(connection) -> None:
        connection.execute("INSERT INTO ops.home VALUES ('key', 'value')")
        with stores.postgres.session(stores.database) as session:
            session.execute(
                "SELECT pg_terminate_backend(l.pid, 10000) FROM pg_locks l "
                f"JOIN hatif_locks h ON h.session = l.pid WHERE h.purpose = '{name}'"
            )

    with open_lake(settings_of(stores, tmp_path / "one")) as lake:
        locks = lake.store.locks
        with pytest.raises(ConnectionLost), locks.exclusive(API, API):
            lake.write(WRITE, work)
        with lake.reading() as connection:
            sql = "SELECT count(*) FROM ops.home WHERE key = 'key'"
            assert connection.execute(sql).fetchone() == (0,)
        lake.write("again", lambda c: c.execute("INSERT INTO ops.home VALUES ('key', 'value')"))
        with closing(locks_of(stores, tmp_path / "two")) as others:
            assert {name: others.holder(name) for name in PURPOSES} == dict.fromkeys(PURPOSES)


def test_no_commit_is_made_on_top_of_another_even_without_a_lock(
    stores: Stores, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path / "one")
    with open_lake(settings) as one, open_lake(settings_of(stores, tmp_path / "two")) as two:
        tries: list[int] = []

        def work(connection) -> None:
            found = connection.execute("SELECT count(*) FROM ops.home").fetchone()
            tries.append(found[0])
            if len(tries) == 1:
                other = two.reader()  # which takes no lock
                other.execute("INSERT INTO wh.ops.home VALUES ('theirs', '')")
                other.close()
            connection.execute("INSERT INTO ops.home VALUES ('ours', ?)", [str(found[0])])

        one.write("count", work)
        assert tries[1] == tries[0] + 1
        with one.reading() as connection:
            sql = "SELECT value FROM ops.home WHERE key = 'ours'"
            assert connection.execute(sql).fetchall() == [(str(tries[1]),)]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(stores: Stores, tmp_path: Path) -> None:
    with open_lake(settings_of(stores, tmp_path / "one")) as lake:
        with stores.postgres.session(stores.database) as session:
            # Ends the session that commits after its commit, so that no answer reaches it.
            session.execute(
                """
                CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.commit_message = 'lost' THEN
                        PERFORM pg_terminate_backend(pg_backend_pid());
                    END IF;
                    RETURN NULL;
                END $$;
                CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON ducklake_snapshot_changes
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()
                """
            )
        runs: list[int] = []

        def work(connection) -> int:
            if runs:
                with stores.postgres.session(stores.database) as session:
                    session.execute("DROP TRIGGER cut ON ducklake_snapshot_changes")
            runs.append(1)
            connection.execute("INSERT INTO ops.home VALUES ('once', '')")
            return len(runs)

        lake.write("lost", work)
        with lake.reading() as connection:
            sql = "SELECT count(*) FROM ops.home WHERE key = 'once'"
            assert connection.execute(sql).fetchone() == (1,)
