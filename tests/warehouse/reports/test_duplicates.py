"""Rows that share their key are counted, and no others."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.models.model import model
from warehouse.reports import status
from warehouse.settings.environment import Settings

_BILLING = model("marts.message_billing_daily")


@pytest.mark.parametrize(
    ("keys", "doubled"),
    [
        ([("SA", None), (None, "SA")], 0),  # a key's parts keep their places
        ([("", None), (None, "")], 0),  # nothing said is not an empty text
        ([("SA", None), ("SA", None)], 1),
        ([(None, None), (None, None), (None, None)], 2),
    ],
)
def test_a_key_with_nulls_is_a_key(
    tmp_path: Path, keys: list[tuple[str | None, str | None]], doubled: int
) -> None:
    def put(connection: duckdb.DuckDBPyConnection) -> None:
        connection.executemany(
            f"INSERT INTO {_BILLING.table} BY NAME SELECT DATE '2026-11-01' AS date, "
            "? AS country, ? AS currency",
            keys,
        )

    with Lake(Settings.load(home=tmp_path / "home")) as lake:
        lake.write("make the tables", schema.create)
        lake.write("put", put)
        with lake.reading() as connection:
            assert status.duplicates(connection, _BILLING) == doubled
