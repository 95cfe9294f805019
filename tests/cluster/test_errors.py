"""What is wrong with a server or a bucket is named, and no password with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hatif.errors import HomeError
from tests.cluster.conftest import Stores, client
from tests.cluster.servers import free_port
from warehouse.errors import NoWarehouse
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

#: With everything that has a meaning in connection strings, addresses, SQL and shells.
PASSWORD = "p'a\"s\\s =w%ord;@/x?&#"


def user(stores: Stores, *rights: str) -> str:
    """Make a user with a password; return its name."""
    name = f"o'neil {stores.database}"
    with stores.postgres.session(stores.database) as session:
        session.execute(f'CREATE ROLE "{name}" LOGIN')
        session.execute(
            f"ALTER ROLE \"{name}\" PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'"
        )
        for right in rights:
            session.execute(right.format(role=f'"{name}"', database=f'"{stores.database}"'))
    return name


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def refused(settings: Settings, *, read_only: bool = False) -> str:
    """Open the lake in vain; return why."""
    opening = partial(Lake, read_only=True) if read_only else open_lake
    with pytest.raises(HomeError) as caught, opening(settings):
        pass
    text = str(caught.value)
    assert not isinstance(caught.value, NoWarehouse)
    assert "chmod" not in text
    assert "disk" not in text
    return text


def settings_of(stores: Stores, home: Path, **more: str) -> Settings:
    return Settings.load(home=home, **{**stores.settings, **more})


def test_a_password_with_any_character_arrives_in_either_form(
    stores: Stores, tmp_path: Path
) -> None:
    name = user(stores, "ALTER DATABASE {database} OWNER TO {role}")
    where = f"{stores.postgres.host}:{stores.postgres.port}/{stores.database}"
    pairs = f"postgres:host={stores.postgres.host} port={stores.postgres.port} user={quoted(name)} "
    for number, catalog in enumerate(
        (
            f"{pairs} dbname={stores.database} password={quoted(PASSWORD)}",
            f"postgresql://{percent(name)}:{percent(PASSWORD)}@{where}",
            f"postgres://{percent(name)}:{percent(PASSWORD)}@{where}?sslmode=prefer",
            f"postgres:postgresql://{percent(name)}:{percent(PASSWORD)}@{where}",
        )
    ):
        settings = settings_of(stores, tmp_path / str(number), catalog=catalog)
        with open_lake(settings) as lake, lake.reading() as connection:
            assert PASSWORD not in repr(settings)
            assert PASSWORD not in repr(lake.catalog)
            assert PASSWORD not in lake.catalog.name
            for sql in (
                "FROM duckdb_databases()",
                "FROM duckdb_secrets()",
                "FROM duckdb_settings()",
                "FROM pg_catalog.pg_database",
                "EXPLAIN SELECT * FROM ops.home",
            ):
                shown = repr(connection.execute(sql).fetchall())
                assert "w%ord" not in shown, sql


def test_a_service_file_a_socket_and_the_environment_name_a_database(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services.conf"
    services.write_text(
        f"[ours]\nhost={stores.postgres.host}\nport={stores.postgres.port}\n"
        f"dbname={stores.database}\nuser=hatif\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGUSER", "hatif")
    socket = f"postgres:host={stores.postgres.socket_folder} port={stores.postgres.port}"
    for number, catalog in enumerate(
        ("postgres:service=ours", f"{socket} dbname={stores.database}")
    ):
        with open_lake(settings_of(stores, tmp_path / str(number), catalog=catalog)):
            pass


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda dsn: dsn.replace("dbname=", "dbname=no"), "there is no database nohatif-"),
        (lambda dsn: dsn.replace("user=hatif", "user=nobody"), "user nobody"),
        (lambda dsn: f"{dsn} port={free_port()}", "no server answers at 127.0.0.1 port"),
        (lambda dsn: f"{dsn} host=nowhere.invalid", "no host of that name: nowhere"),
        (lambda _: "postgres:service=nothing", "there is no such service"),
        (lambda dsn: f"{dsn} sslmode=require", "no SSL connection"),
        (lambda dsn: f"{dsn} sslmode=maybe", "PostgreSQL refused"),
        (lambda dsn: f"{dsn} nonsense=1 password=w%ord", "is no connection string"),
        (lambda _: "postgresql://u:w%ord@host/db", "is no connection string"),
        (lambda _: "postgres:host='127 password=w%ord", "is no connection string"),
    ],
)
def test_a_wrong_connection_string_is_named(
    stores: Stores,
    tmp_path: Path,
    change: Callable[[str], str],
    named: str,
    read_only: bool,
) -> None:
    catalog = change(stores.catalog)
    text = refused(settings_of(stores, tmp_path / "home", catalog=catalog), read_only=read_only)
    assert named in text
    assert "w%ord" not in text


def test_a_wrong_password_is_named_and_not_shown(stores: Stores, tmp_path: Path) -> None:
    name = user(stores)
    for password in (" password=wrong-w%ord", ""):
        catalog = f"{stores.catalog} user={quoted(name)}{password}"
        text = refused(settings_of(stores, tmp_path / "home", catalog=catalog))
        assert f"the password of user {name} was refused, or none was given" in text
        assert "w%ord" not in text


def test_a_missing_right_is_named(stores: Stores, tmp_path: Path) -> None:
    name = user(stores)
    catalog = f"{stores.catalog} user={quoted(name)} password={quoted(PASSWORD)}"
    settings = settings_of(stores, tmp_path / "home", catalog=catalog)
    assert "lacks a right in database" in refused(settings)
    with open_lake(settings_of(stores, tmp_path / "owner")):
        pass
    assert "lacks a right in database" in refused(settings, read_only=True)


def test_whoever_may_only_select_reads_and_changes_nothing(stores: Stores, tmp_path: Path) -> None:
    with open_lake(settings_of(stores, tmp_path / "owner")) as lake:
        lake.write("x", lambda c: c.execute("INSERT INTO ops.home VALUES ('key', 'value')"))
    name = user(stores, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    catalog = f"{stores.catalog} user={quoted(name)} password={quoted(PASSWORD)}"
    settings = settings_of(stores, tmp_path / "home", catalog=catalog)
    with Lake(settings, read_only=True) as lake, lake.reading() as connection:
        sql = "SELECT value FROM ops.home WHERE key = 'key'"
        assert connection.execute(sql).fetchone() == ("value",)


def test_an_empty_database_is_no_warehouse_yet(stores: Stores, tmp_path: Path) -> None:
    with pytest.raises(NoWarehouse, match="hatif sync --full"):
        Lake(settings_of(stores, tmp_path / "home"), read_only=True)


def test_another_version_of_the_catalog_is_named(stores: Stores, tmp_path: Path) -> None:
    settings = settings_of(stores, tmp_path / "home")
    with open_lake(settings):
        pass
    with stores.postgres.session(stores.database) as session:
        session.execute("UPDATE ducklake_metadata SET value = '9.9' WHERE key = 'version'")
    for read_only in (True, False):
        assert "was made by another version" in refused(settings, read_only=read_only)


def test_another_lake_than_the_catalogs_is_refused(stores: Stores, tmp_path: Path) -> None:
    with open_lake(settings_of(stores, tmp_path / "one")):
        pass
    for lake in (f"s3://{stores.bucket}/other", str(tmp_path / "lake")):
        astray = settings_of(stores, tmp_path / "two", lake=lake)
        for read_only in (False, True):
            assert f"Set HATIF_LAKE={stores.lake}" in refused(astray, read_only=read_only)
    assert stores.objects("other") == {}


def test_a_second_catalog_over_one_prefix_is_refused(stores: Stores, tmp_path: Path) -> None:
    with open_lake(settings_of(stores, tmp_path / "one")):
        pass
    other = f"{stores.database}-other"
    with stores.postgres.session() as session:
        session.execute(f'CREATE DATABASE "{other}"')
    for catalog in (
        f"postgres:{stores.postgres.dsn(other)}",
        f"sqlite:{tmp_path / 'catalog.sqlite'}",
    ):
        text = refused(settings_of(stores, tmp_path / "two", catalog=catalog))
        assert "is missing or empty, but the lake in s3://" in text


def test_a_missing_bucket_is_named(stores: Stores, tmp_path: Path) -> None:
    settings = settings_of(stores, tmp_path / "home", lake="s3://no-such-bucket/lake")
    assert "there is no bucket no-such-bucket" in refused(settings)


def test_no_answer_from_the_buckets_service_is_named(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    assert "the service does not answer" in refused(settings_of(stores, tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    assert "AWS_ENDPOINT_URL: must be http" in refused(settings_of(stores, tmp_path / "home"))


def test_missing_credentials_are_named(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "there are no credentials" in refused(settings_of(stores, tmp_path / "home"))


def test_credentials_of_a_profile_are_taken_where_the_environment_has_none(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    file.write_text("[ours]\naws_access_key_id = testing\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "ours")
    with open_lake(settings_of(stores, tmp_path / "home")) as lake:
        lake.write("x", lambda c: c.execute("INSERT INTO ops.home VALUES ('key', 'value')"))


def test_a_lake_whose_files_are_gone_is_named(stores: Stores, tmp_path: Path) -> None:
    settings = settings_of(stores, tmp_path / "home")
    with open_lake(settings) as lake:
        lake.write("x", lambda c: c.execute("INSERT INTO ops.home SELECT i, i FROM range(50) t(i)"))
    for key in stores.objects():
        client(stores.s3).delete_object(Bucket=stores.bucket, Key=key)
    assert "holds none of the files" in refused(settings, read_only=True)
