"""What a server or a bucket refuses for now or for good: named, and the next run is right."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from psycopg import sql

from hatif.errors import HatifError
from pipelines.cli import main
from tests.cluster.conftest import Stores, client
from tests.cluster.proxies import S3Proxy, TcpProxy
from tests.cluster.test_errors import refused
from tests.comparison import stored
from warehouse.errors import WriteFailed
from warehouse.lake import maintenance
from warehouse.lake.explain import explanation
from warehouse.lake.maintenance import maintain
from warehouse.lake.postgres import Database
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

MANY = "INSERT INTO core.contacts BY NAME SELECT uuid()::VARCHAR AS contact_id FROM range({}) t(i)"
IDS = "SELECT count(*) AS rows, count(DISTINCT contact_id) AS ids FROM core.contacts"
PASSWORD = "w%ord-of-the-user"
Trouble = tuple[int, str] | str
#: As the server writes it, of a file of a table.
_FULL = """
    CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file "base/5/2619": No space left on device'
        USING ERRCODE = 'disk_full', HINT = 'Check free disk space.';
    END $$
"""
#: The table of the rows of contacts that wait to be written to files.
_WAITING = """
    SELECT i.table_name FROM ducklake_inlined_data_tables i JOIN ducklake_table t USING (table_id)
    WHERE t.table_name = 'contacts'
"""


def settings_of(stores: Stores, home: Path, **more: str) -> Settings:
    return Settings.load(home=home, **{**stores.settings, **more})


def add(connection: duckdb.DuckDBPyConnection, *, rows: int) -> None:
    connection.execute(MANY.format(rows))


def of_data(method: str, trouble: Trouble, seen: str, path: str) -> Trouble | None:
    """Return the trouble for requests of one method that are about data."""
    return trouble if seen == method and ".parquet" in path else None


def holds(packet: bytes, data: bytes) -> bool:
    return packet in data


def counted(settings: Settings) -> int:
    """Return the contacts; each is there once."""
    ((rows, ids),) = (tuple(row.values()) for row in stored(settings, IDS))
    assert rows == ids
    return int(rows)


def test_a_full_disk_of_the_server_is_named_at_once_and_nothing_is_kept(
    stores: Stores, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    tried: list[int] = []

    def fill(rows: int) -> None:
        def work(connection: duckdb.DuckDBPyConnection) -> None:
            tried.append(rows)
            connection.execute(MANY.format(rows))

        lake.write("fill", work)

    with open_lake(settings) as lake, stores.postgres.session(stores.database) as session:
        fill(50)
        fill(5)
        there = set(stores.objects())
        session.execute(_FULL)
        found = session.execute(_WAITING).fetchone()
        assert found is not None
        (inlined,) = found
        for table, rows in (
            ("ducklake_data_file", 50),
            (inlined, 5),
            ("ducklake_snapshot", 50),
            ("hatif_locks", 50),
        ):
            tried.clear()
            session.execute(
                f'CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON "{table}" '
                "FOR EACH ROW EXECUTE FUNCTION is_full()"
            )
            with pytest.raises(HatifError, match="the disk of the database's server is full") as no:
                fill(rows)
            assert not no.value.transient
            assert len(tried) == (table != "hatif_locks")
            session.execute(f'DROP TRIGGER full_disk ON "{table}"')
        assert set(stores.objects()) == there
        fill(50)
    assert counted(settings) == 105


def test_what_a_server_refuses_is_named_and_the_next_run_is_right(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, away = f"user-{stores.database}", f"{stores.database}-away"
    names = {"role": role, "database": stores.database, "away": away, "password": PASSWORD}
    settings = settings_of(
        stores, tmp_path, catalog=f"{stores.catalog} user={role} password={PASSWORD}"
    )
    for field in ("home", "catalog", "lake"):
        monkeypatch.setenv(f"HATIF_{field.upper()}", str(getattr(settings, field)))
    with stores.postgres.session() as session:

        def administer(statement: str) -> None:
            quoted = {
                name: sql.Literal(value) if name == "password" else sql.Identifier(value)
                for name, value in names.items()
            }
            session.execute(sql.SQL(statement).format(**quoted))

        administer("CREATE ROLE {role} LOGIN PASSWORD {password}")
        administer("ALTER DATABASE {database} OWNER TO {role}")
        with open_lake(settings) as lake:
            lake.write("fill", partial(add, rows=50))
        for statement, undo, status, named in (
            (
                "ALTER DATABASE {database} SET default_transaction_read_only = on",
                "ALTER DATABASE {database} RESET default_transaction_read_only",
                2,
                "the server only reads",
            ),
            (
                "ALTER ROLE {role} CONNECTION LIMIT 1",
                "ALTER ROLE {role} CONNECTION LIMIT -1",
                1,
                "the server has no connection to spare",
            ),
            (
                "ALTER ROLE {role} PASSWORD 'changed'",
                "ALTER ROLE {role} PASSWORD {password}",
                2,
                f"the password of user {role} was refused",
            ),
            (
                "ALTER DATABASE {database} RENAME TO {away}",
                "ALTER DATABASE {away} RENAME TO {database}",
                2,
                f"there is no database {stores.database}",
            ),
            (
                "ALTER DATABASE {database} ALLOW_CONNECTIONS off",
                "ALTER DATABASE {database} ALLOW_CONNECTIONS on",
                1,
                "takes no connections",
            ),
        ):
            administer(statement)
            done = CliRunner().invoke(main, ["maintain"])
            assert (done.exit_code, named in done.output) == (status, True), done.output
            assert PASSWORD not in done.output
            administer(undo)
    done = CliRunner().invoke(main, ["maintain"])
    assert done.exit_code == 0, done.output
    assert counted(settings) == 50


def test_sessions_that_the_server_ends_while_they_rest_are_opened_again(
    stores: Stores, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    # As DuckDB leaves a session that it keeps for later.
    resting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'idle' "
        "AND query = 'DISCARD ALL'"
    )
    with stores.postgres.session() as session:
        session.execute(f"ALTER DATABASE \"{stores.database}\" SET idle_session_timeout = '50ms'")
        with open_lake(settings) as lake:
            for rows in (50, 5, 50):
                lake.write("fill", partial(add, rows=rows))
                with lake.reading() as connection:
                    connection.execute("SELECT max(contact_id) FROM core.contacts").fetchall()
                while session.execute(resting, [stores.database]).fetchone() != (0,):
                    session.execute("SELECT pg_sleep(0.05)")
    assert counted(settings) == 105


def test_a_server_that_does_not_answer_is_given_up(stores: Stores, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        catalog = f"{stores.catalog} port={port} connect_timeout=2"
        settings = settings_of(stores, tmp_path, catalog=catalog)
        assert f"127.0.0.1 port {port} does not answer" in refused(settings)
    # Nor is one waited for that is gone amid a session, be it ours or DuckDB's.
    database = Database.of(stores.postgres.dsn())
    for limit in ("connect_timeout=10", "keepalives_idle=20", "tcp_user_timeout=50000"):
        assert limit in database.dsn


def test_an_answer_that_is_cut_wrong_or_late_is_named_and_the_next_one_is_right(
    stores: Stores, proxy: S3Proxy, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        lake.write("fill", partial(add, rows=2_000))
        for trouble, method, named in (
            ("cut", "GET", "an answer of the service was incomplete"),
            ("longer", "GET", "an answer of the service was incomplete"),
            ("shorter", "GET", "an answer of the service was incomplete"),
            ("longer", "PUT", "an answer of the service was incomplete"),
            ((200, "NoTag"), "PUT", "an answer of the service was incomplete"),
            ((429, "SlowDown"), "GET", "overloaded or out of order"),
            ((429, "SlowDown"), "PUT", "overloaded or out of order"),
            ((400, "RequestTimeout"), "PUT", "the service does not answer"),
            ((403, "RequestTimeTooSkewed"), "GET", "the clock of this machine is wrong"),
            ((403, "RequestTimeTooSkewed"), "PUT", "the clock of this machine is wrong"),
            ((400, "InvalidRequest"), "PUT", "the service refused"),
            ("trickles", "GET", None),
        ):
            proxy.trouble = partial(of_data, method, trouble)
            try:
                if method == "PUT":
                    lake.write("fill", partial(add, rows=50))
                else:
                    with lake.reading() as reader:
                        reader.execute("SELECT max(contact_id) FROM core.contacts").fetchall()
            except duckdb.Error as error:
                text, passes = explanation(error)
            except HatifError as error:
                text, passes = str(error), isinstance(error, WriteFailed)
            else:
                assert named is None
                continue
            assert named is not None, text
            assert named in text
            assert "127.0.0.1" not in text
            assert passes == ("clock" not in named and "refused" not in named)
    proxy.trouble = lambda *_: None
    assert counted(settings) == 2_000


def test_lists_of_many_pages_and_strange_keys_hide_no_orphan(
    stores: Stores, proxy: S3Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_REMOVE_AFTER", "now() + INTERVAL 1 DAY")
    proxy.page = 7  # objects, as 1,000 are of a real list
    names = [f"ducklake-01a21a6f-cffa-7c7f-973f-{number:012x}.parquet" for number in range(40)]
    orphans = {f"lake/core/contacts/{name}" for name in names}
    # A question mark ends DuckDB's own search in an error.
    strange = {
        f"lake/core/contacts/{key}" for key in ("a?b=c", "a b+%2F", "x//y", "\u0645", "*[a]")
    }
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        lake.write("fill", partial(add, rows=50))
        for key in orphans | strange:
            client(stores.s3).put_object(Bucket=stores.bucket, Key=key, Body=b"x")
        freed = maintain(lake, patience=0)
    assert freed.orphans_removed == len(orphans)
    there = set(stores.objects())
    assert not orphans & there
    assert strange <= there
    assert counted(settings) == 50


def test_commands_that_read_end_by_what_a_bucket_or_server_refuses(
    stores: Stores,
    proxy: S3Proxy,
    between: TcpProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        lake.write("fill", partial(add, rows=50))
    monkeypatch.setenv("HATIF_HOME", str(tmp_path))
    monkeypatch.setenv("HATIF_LAKE", stores.lake)
    monkeypatch.setenv("HATIF_CATALOG", f"{stores.catalog} port={between.port}")
    query = ("query", "SELECT max(contact_id) FROM contacts")
    publish = ("publish", str(tmp_path / "published.duckdb"))
    page = ("page", "--output", str(tmp_path / "page.html"))
    denied, skewed = (403, "AccessDenied"), (403, "RequestTimeTooSkewed")
    for words, trouble, status, named in (
        (query, (503, "SlowDown"), 1, "overloaded or out of order"),
        (query, denied, 2, "these credentials may not do that there"),
        (("status",), skewed, 2, "the clock of this machine is wrong"),
        (publish, denied, 2, "what was published before is unchanged"),
        (page, denied, 2, "these credentials may not do that there"),
        (query, b'"ducklake_data_file" WHERE', 1, "the connection was cut"),
        (("status",), b'"ducklake_data_file" WHERE', 1, "the connection was cut"),
    ):
        if isinstance(trouble, bytes):
            proxy.trouble = lambda *_: None
            between.cuts = partial(holds, trouble)
        else:
            proxy.trouble = partial(of_data, "GET", trouble)
        done = CliRunner().invoke(main, words)
        assert (done.exit_code, named in " ".join(done.output.split())) == (status, True), (
            done.output
        )
        assert "disk space" not in done.output
        assert "COPY" not in done.output
