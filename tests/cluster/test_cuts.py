"""A connection to the catalog that is cut, at any of the packets that DuckDB sends over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from hatif.errors import HatifError
from tests.cluster.conftest import Stores
from tests.cluster.proxies import TcpProxy
from tests.comparison import stored
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explanation
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

#: What packets hold, by which one is cut: in their order in a transaction.
_PACKETS = (
    b"BEGIN",
    b"ducklake_snapshot",
    b"ducklake_table_stats",
    b"ducklake_table_column_stats",
    b'"ducklake_data_file" WHERE',
    b'"ducklake_delete_file" WHERE',
    b"ducklake_schema_versions",
    b"ducklake_inlined_data_",
    # After the rows that wait in the catalog DuckDB can meet a fault of its own.
    b'FROM "public"."ducklake_inlined_data_',
    b"pg_namespace",
)
_OF_READERS = (*_PACKETS[:-1], b"ROLLBACK")
_OF_WRITERS = (*_PACKETS, b"pg_locks", b"INSERT INTO", b"COMMIT")
_INSERT = "INSERT INTO core.contacts BY NAME SELECT uuid()::VARCHAR AS contact_id FROM range({})"


def through(stores: Stores, between: TcpProxy, home: Path) -> Settings:
    settings = {**stores.settings, "catalog": f"{stores.catalog} port={between.port}"}
    return Settings.load(home=home, **settings)


def fill(lake: Lake) -> None:
    """Add rows that wait in the catalog, and rows in a file."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("SELECT max(contact_id) FROM core.contacts").fetchall()
        connection.execute(_INSERT.format(3))
        connection.execute(_INSERT.format(50))

    lake.write("fill", work)


def ending(work: Callable[[], object]) -> str:
    """Run it; return `done`, `may pass`, or how else it failed."""
    try:
        work()
    except HatifError as error:
        return "may pass" if error.transient else repr(error)
    except duckdb.Error as error:
        return "may pass" if explanation(error).passes else repr(error)
    return "done"


def test_a_reader_whose_connection_is_cut_ends_by_name_wherever_that_is(
    stores: Stores, between: TcpProxy, tmp_path: Path
) -> None:
    with open_lake(Settings.load(home=tmp_path / "one", **stores.settings)) as lake:
        fill(lake)
    settings = through(stores, between, tmp_path / "two")
    for packet in _OF_READERS:
        with Lake(settings, read_only=True, threads=1) as lake:

            def read(lake: Lake = lake, packet: bytes = packet) -> None:
                with lake.snapshot() as connection:
                    between.cuts = lambda data: packet in data
                    connection.execute("SELECT max(contact_id) FROM core.contacts").fetchall()

            ended = ending(read)
        assert between.has_cut.is_set(), packet
        assert ended == ("done" if packet == b"ROLLBACK" else "may pass"), packet
        between.has_cut.clear()
    assert stored(settings, "SELECT count(*) AS rows FROM core.contacts") == [{"rows": 53}]


def test_a_writer_whose_connection_is_cut_ends_by_name_and_keeps_all_or_nothing(
    stores: Stores, between: TcpProxy, tmp_path: Path
) -> None:
    settings = through(stores, between, tmp_path)
    with open_lake(settings) as lake:
        fill(lake)
    made, cut = 1, 0
    for packet in _OF_WRITERS:
        with open_lake(settings) as lake:

            def write(lake: Lake = lake, packet: bytes = packet) -> None:
                between.cuts = lambda data: packet in data
                fill(lake)

            ended = ending(write)
            made += ended == "done"
        assert ended in ("done", "may pass"), packet
        cut += between.has_cut.is_set()
        between.has_cut.clear()
    rows = "SELECT count(*) AS rows, count(DISTINCT contact_id) AS ids FROM core.contacts"
    assert stored(settings, rows) == [{"rows": 53 * made, "ids": 53 * made}]
    assert cut > 8
    assert made > 1
