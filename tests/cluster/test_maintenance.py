"""Maintenance of a lake in a bucket, and of a catalog that others read meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Stores, client
from warehouse.lake import maintenance
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

SQL = "INSERT INTO core.contacts BY NAME SELECT 'c' || i AS contact_id, 'name' AS name FROM"


def settings_of(stores: Stores, home: Path) -> Settings:
    return Settings.load(home=home, **stores.settings)


def add(lake: Lake, first: int, rows: int) -> None:
    """Add contacts, a few at a time."""
    numbers = f"range({first}, {first + rows}) t(i)"
    lake.write("add", lambda connection: connection.execute(f"{SQL} {numbers}"))


def count_in(connection) -> tuple[int, ...]:
    """Return the rows of the contacts: as counted from statistics, as scanned, and their ids."""
    found = connection.execute(
        "SELECT (SELECT count(*) FROM core.contacts), sum(length(name)) // 4, "
        "count(DISTINCT contact_id) FROM core.contacts"
    ).fetchone()
    return tuple(int(number or 0) for number in found)


def test_orphans_go_only_from_folders_of_this_catalogs_tables(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_REMOVE_AFTER", "now() + INTERVAL 1 DAY")
    name = "ducklake-01a21a6f-cffa-7c7f-973f-4d0c55c10c96.parquet"
    kept = {
        f"other/core/contacts/{name}",  # of another prefix of the bucket
        f"lake-2/core/contacts/{name}",  # whose name begins like ours
        f"lake/backup/core/contacts/{name}",
        f"lake/core/no_such_table/{name}",
        "lake/core/contacts/mine.parquet",
    }
    orphans = {f"lake/core/contacts/{name}", f"lake/raw/records/stream=contacts/{name}"}
    with open_lake(settings_of(stores, tmp_path)) as lake:
        lake.write("fill", lambda c: c.execute(f"{SQL} range(100) t(i)"))
        for key in kept | orphans:
            client(stores.s3).put_object(Bucket=stores.bucket, Key=key, Body=b"x")
        freed = maintain(lake, patience=0)
        with lake.reading() as connection:
            assert count_in(connection) == (100, 100, 100)
    assert freed.orphans_removed == 2
    there = set(stores.objects())
    assert kept <= there
    assert not orphans & there
    assert not [key for key in there if key.endswith("/")]  # pyarrow would leave one for a folder
    assert (freed.files_after, freed.bytes_after) != (0, 0)


def test_small_commits_become_few_files_and_every_row_stays(stores: Stores, tmp_path: Path) -> None:
    with open_lake(settings_of(stores, tmp_path)) as lake:
        for number in range(12):
            add(lake, number * 20, 20)
        lake.write("cut", lambda c: c.execute("DELETE FROM core.contacts WHERE contact_id > 'c9'"))
        with lake.reading() as connection:
            before = count_in(connection)
        freed = maintain(lake, patience=0)
        assert freed.put_off == {}
        assert freed.files_merged > 1
        with lake.reading() as connection:
            assert count_in(connection) == before
    other = Lake(settings_of(stores, tmp_path / "two"), read_only=True)
    with other, other.reading() as connection:
        assert count_in(connection) == before


def test_an_open_transaction_keeps_its_rows_while_they_move(stores: Stores, tmp_path: Path) -> None:
    """duckdb/ducklake#1413: with PostgreSQL all of a transaction reads one snapshot of the catalog.

    Our own readers keep maintenance away; this one stands for another program.
    """
    with open_lake(settings_of(stores, tmp_path / "one")) as lake:
        for number in range(30):  # few rows: they wait in the catalog
            add(lake, number * 5, 5)
        assert lake.catalog.size > 150  # the rows that wait count for the memory that they need
        with Lake(settings_of(stores, tmp_path / "two"), read_only=True, holds=False) as other:
            with other.snapshot() as connection:
                assert count_in(connection) == (150, 150, 150)
                freed = maintain(lake, patience=0)
                assert freed.rows_flushed >= 150
                lake.write("cut", lambda c: c.execute("DELETE FROM core.contacts"))
                assert count_in(connection) == (150, 150, 150)
            with other.reading() as connection:
                assert count_in(connection) == (0, 0, 0)
