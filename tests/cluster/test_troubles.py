"""A server that is restarted or cut, a bucket that refuses: named, and the next run is right."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import duckdb
import pytest

from hatif.errors import HatifError
from tests.cluster.conftest import Stores, client
from tests.cluster.proxies import S3Proxy, TcpProxy
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for
from warehouse.lake import maintenance
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

pytestmark = pytest.mark.long

MANY = "INSERT INTO core.contacts BY NAME SELECT 'c' || i AS contact_id FROM range(50) t(i)"
Trouble = tuple[int, str] | str
COUNT = "SELECT count(*) AS rows, count(DISTINCT contact_id) AS ids FROM core.contacts"


def settings_of(stores: Stores, home: Path, **more: str) -> Settings:
    return Settings.load(home=home, **{**stores.settings, **more})


def fill(lake: Lake, sql: str = MANY) -> None:
    """Run one statement in a transaction."""
    lake.write("fill", lambda connection: connection.execute(sql))


def counted(settings: Settings) -> tuple[int, int]:
    row = stored(settings, COUNT)[0]
    return row["rows"], row["ids"]


def lose_answer(between: TcpProxy) -> None:
    """Let the next COMMIT arrive and be made, and its answer get lost."""
    between.cuts = lambda data: b"COMMIT" in data


@pytest.mark.parametrize(
    ("sql", "runs"),
    [
        # In a file: DuckLake removes it, so the commit is taken back and made again.
        (MANY, 2),
        # Rows that wait in the catalog: the commit is found.
        (MANY.replace("50", "5"), 1),
        # Both, with deleted rows, and a table that is made anew.
        (f"{MANY}; DELETE FROM core.contacts WHERE contact_id = 'old1'", 2),
        (f"DROP TABLE core.tags; CREATE TABLE wh.core.tags (tag_id VARCHAR); {MANY}", 2),
    ],
)
def test_a_commit_whose_answer_was_lost_counts_once(
    stores: Stores, between: TcpProxy, tmp_path: Path, sql: str, runs: int
) -> None:
    catalog = f"{stores.catalog} port={between.port}"
    done: list[int] = []

    def work(connection) -> None:
        connection.execute(sql)
        if not done:
            lose_answer(between)
        done.append(1)

    with open_lake(settings_of(stores, tmp_path, catalog=catalog)) as lake:
        lake.write("before", lambda c: c.execute(MANY.replace("'c'", "'old'")))
        lake.write("fill", work)
        assert between.has_cut.is_set()
        assert len(done) == runs
        lake.write("more", lambda c: c.execute(MANY.replace("'c'", "'new'")))
    rows = 105 if "range(5)" in sql else 149 if "old1" in sql else 150
    settings = settings_of(stores, tmp_path)
    assert counted(settings) == (rows, rows)
    assert stored(settings, "SELECT count(*) AS tags FROM core.tags") == [{"tags": 0}]
    with open_lake(settings) as lake:
        maintain(lake, patience=0)
    assert counted(settings) == (rows, rows)


@pytest.mark.parametrize("commits", range(1, 4))
def test_maintenance_whose_answers_are_lost_loses_no_row(
    stores: Stores, between: TcpProxy, tmp_path: Path, commits: int
) -> None:
    catalog = f"{stores.catalog} port={between.port}"
    with open_lake(settings_of(stores, tmp_path, catalog=catalog)) as lake:
        for name in ("a", "b", "c", "d"):
            fill(lake, MANY.replace("'c'", f"'{name}'"))
            fill(lake, MANY.replace("'c'", f"'few{name}'").replace("50", "5"))
        compaction = Compaction(lake, 0)
        steps, seen = compaction._write, []

        def write(purpose, work):
            def losing(connection):
                result = work(connection)
                seen.append(purpose)
                if len(seen) == commits:
                    lose_answer(between)
                return result

            return steps(purpose, losing)

        compaction._write = write  # type: ignore[method-assign]
        compaction.run()
    assert between.has_cut.is_set()
    assert counted(settings_of(stores, tmp_path)) == (220, 220)


def test_what_a_killed_process_left_broken_is_taken_back_by_the_next(
    stores: Stores, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        lake.write("before", lambda c: c.execute(MANY.replace("'c'", "'old'")))
        there = set(stores.objects())
        lake.write("fill", lambda c: c.execute(MANY))
    for key in set(stores.objects()) - there:
        client(stores.s3).delete_object(Bucket=stores.bucket, Key=key)
    with open_lake(settings) as lake:
        lake.write("again", lambda c: c.execute(MANY))
    assert counted(settings) == (100, 100)


def test_a_cut_before_the_commit_is_repeated_and_counts_once(
    stores: Stores, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        cuts: list[int] = []

        def work(connection) -> None:
            connection.execute(MANY)
            if not cuts:  # all but the sessions of the locks
                cuts.append(
                    stores.postgres.cut(
                        stores.database,
                        "pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')",
                    )
                )

        lake.write("fill", work)
        assert cuts[0] > 0
    assert counted(settings) == (50, 50)


@pytest.mark.parametrize("when", range(3))
def test_a_sync_whose_server_restarts_fails_by_name_and_the_next_is_right(
    stores: Stores, serve: Serve, tmp_path: Path, when: int
) -> None:
    server = serve(contacts=30, conversations=20, events=300)
    settings = settings_for(server, tmp_path / "home", **stores.settings)
    seen = 0

    def restart(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 2 + 3 * when:
            stores.postgres.restart()

    write = Lake.write

    def writing(self, purpose, work):
        def disturbed(connection):
            result = work(connection)
            restart()
            return result

        return write(self, purpose, disturbed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lake, "write", writing)
        try:
            results = full_sync(settings)
            messages = [result.message for result in results.values() if result.message]
        except HatifError as error:
            messages = [str(error)]
    assert seen >= 2 + 3 * when
    assert messages
    for text in messages:
        assert "cut" in text or "starting or stopping" in text, text
    assert {result.status for result in full_sync(settings).values()} == {"done"}
    assert differences(settings, server) == []


def is_data(path: str) -> bool:
    return path.split("?")[0].endswith(".parquet")


def trouble_with_data(trouble: Trouble, _: str, path: str) -> Trouble | None:
    return trouble if is_data(path) else None


REFUSALS: tuple[tuple[Trouble, str], ...] = (
    ((503, "SlowDown"), "overloaded or out of order"),
    ((403, "AccessDenied"), "these credentials may not do that there"),
    ((403, "InvalidAccessKeyId"), "the access key is not known there"),
    ((403, "SignatureDoesNotMatch"), "the secret key does not belong to the access key"),
    ((403, "ExpiredToken"), "the session token is not valid any more"),
    ((301, "PermanentRedirect"), "in another region, or at another endpoint"),
    ((404, "NoSuchBucket"), "there is no such bucket"),
    ("lost", "the service does not answer"),
)


def test_what_a_bucket_refuses_is_named_and_the_next_write_is_right(
    stores: Stores, proxy: S3Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_REMOVE_AFTER", "now() + INTERVAL 1 DAY")
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        for number, (trouble, named) in enumerate(REFUSALS):
            proxy.trouble = partial(trouble_with_data, trouble)
            with pytest.raises(HatifError, match=named) as caught:
                fill(lake)
            assert "127.0.0.1" not in str(caught.value)
            proxy.trouble = lambda *_: None
            fill(lake, MANY.replace("'c'", f"'{number}-'"))
        maintain(lake, patience=0)
    rows = 50 * len(REFUSALS)
    assert counted(settings) == (rows, rows)
    with Lake(settings, read_only=True) as lake, lake.reading() as connection:
        files = "FROM ducklake_list_files('wh', 'contacts', schema => 'core')"
        known = connection.execute(files).fetchall()
    parquet = [key for key in stores.objects() if "/contacts/" in key and key.endswith(".parquet")]
    assert len(parquet) == len(known)  # no orphan is left


def test_opening_names_what_the_bucket_refuses(
    stores: Stores, proxy: S3Proxy, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    for trouble, named in (
        ((403, "InvalidAccessKeyId"), "the access key is not known there"),
        ((403, "SignatureDoesNotMatch"), "does not belong to the access key"),
        ((503, "SlowDown"), "overloaded or out of order"),
        ((301, "PermanentRedirect"), "in another region, or at another endpoint"),
    ):
        proxy.trouble = lambda *_, one=trouble: one
        with pytest.raises(HatifError, match=named), open_lake(settings):
            pass


def test_a_slow_bucket_changes_nothing(
    stores: Stores, proxy: S3Proxy, serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=20, conversations=10, events=100)
    settings = settings_for(server, tmp_path / "home", **stores.settings)
    proxy.trouble = lambda *_: 0.05
    full_sync(settings)
    assert differences(settings, server) == []


def test_one_refusal_or_lost_answer_in_ten_changes_nothing(
    stores: Stores, proxy: S3Proxy, serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=20, conversations=10, events=100)
    settings = settings_for(server, tmp_path / "home", **stores.settings)
    count = 0

    def trouble(*_: object) -> tuple[int, str] | str | None:
        nonlocal count
        count += 1
        if count % 10 == 4:
            return (503, "SlowDown")
        return "lost" if count % 10 == 9 else None

    proxy.trouble = trouble
    full_sync(settings)
    assert count > 50
    assert differences(settings, server) == []


def test_a_file_that_cannot_be_read_now_is_not_taken_for_a_lost_one(
    stores: Stores, proxy: S3Proxy, tmp_path: Path
) -> None:
    settings = settings_of(stores, tmp_path)
    with open_lake(settings) as lake:
        lake.write("fill", lambda c: c.execute(MANY))
    proxy.trouble = lambda _, path: (503, "SlowDown") if is_data(path) else None
    with pytest.raises(duckdb.HTTPException) as caught:
        stored(settings, "SELECT max(contact_id) FROM core.contacts")
    assert "overloaded" in explain(caught.value)
    assert "backup" not in explain(caught.value)
