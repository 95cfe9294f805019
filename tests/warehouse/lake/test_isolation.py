"""One value that DuckDB refuses costs its own item, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa
import pytest

from warehouse.errors import ValueRefused, WarehouseError
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import isolate


def _storing(lake: Lake) -> Callable[[Sequence[str]], int]:
    """Store each item as a key, as a number; what is no number is refused by DuckDB."""

    def work(connection: duckdb.DuckDBPyConnection, part: Sequence[str]) -> int:
        for item in part:
            connection.execute("INSERT INTO ops.home VALUES ('n', ?::BIGINT::VARCHAR)", [item])
        return len(part)

    return lambda part: lake.write("store numbers", lambda c: work(c, part))


def _stored(lake: Lake) -> list[str]:
    with lake.reading() as connection:
        rows = connection.execute("SELECT value FROM ops.home WHERE key = 'n' ORDER BY ALL")
        return [value for (value,) in rows.fetchall()]


def test_a_refused_item_is_returned_and_all_others_are_stored_once(lake: Lake) -> None:
    items = [str(number) for number in range(20, 40)]
    items[7] = "secret words"
    done, refused = isolate(items, _storing(lake))
    assert [one.item for one in refused] == ["secret words"]
    assert sum(done) == 19
    assert _stored(lake) == [item for item in items if item != "secret words"]


def test_the_reason_says_what_happened_without_the_value(lake: Lake) -> None:
    _, refused = isolate(["secret words", "99999999999999999999"], _storing(lake))
    assert {one.reason for one in refused} == {"refused:Could not convert string"}


def test_a_batch_without_a_bad_item_is_written_in_one_transaction(lake: Lake) -> None:
    done, refused = isolate(["1", "2", "3"], _storing(lake))
    assert (done, refused) == ([3], [])


def test_no_items_are_no_transaction() -> None:
    def never(_: Sequence[str]) -> None:
        raise AssertionError

    assert isolate([], never) == ([], [])


def test_the_only_item_refused_is_set_aside_too(lake: Lake) -> None:
    done, refused = isolate(["x"], _storing(lake))
    assert (done, len(refused)) == ([], 1)


def test_what_is_no_fault_of_a_value_is_raised_as_it_came(lake: Lake) -> None:
    def attempt(_: Sequence[str]) -> None:
        lake.write("read", lambda c: c.execute("FROM nothing_there") and None)

    with pytest.raises(WarehouseError, match="CatalogException") as raised:
        isolate(["1", "2"], attempt)
    assert not isinstance(raised.value, ValueRefused)


def test_where_every_item_is_refused_the_fault_is_not_one_of_values() -> None:
    def attempt(_: Sequence[int]) -> None:
        raise ValueRefused("the lake refused", reason="always")

    with pytest.raises(ValueRefused):
        isolate(range(1_000), attempt)


def test_text_that_no_encoding_carries_is_isolated_as_well() -> None:
    def attempt(part: Sequence[str]) -> int:
        return len(pa.array(part, pa.string()))

    done, refused = isolate(["1", "\ud800", "3"], attempt)
    assert [one.item for one in refused] == ["\ud800"]
    assert done == [1, 1]


def test_a_key_with_nul_that_breaks_the_catalogs_own_statement_is_a_value(lake: Lake) -> None:
    def forget(part: Sequence[str]) -> None:
        def work(connection: duckdb.DuckDBPyConnection) -> None:
            connection.register("part", pa.table({"key": part}))
            connection.execute("DELETE FROM ops.home WHERE key IN (SELECT key FROM part)")

        lake.write("forget keys", work)

    keys = "INSERT INTO ops.home SELECT 'k' || i::VARCHAR, i FROM range(99) t(i)"
    lake.write("fill", lambda c: c.execute(keys) and None)
    _, refused = isolate(["k7", "k8\0b"], forget)
    assert [one.item for one in refused] == ["k8\0b"]
