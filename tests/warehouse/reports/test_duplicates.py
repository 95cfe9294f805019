"""Rows that share their key are counted, and no others."""

from __future__ import annotations

import duckdb
import pytest

from warehouse.models.model import model
from warehouse.reports import status

_BILLING = model("marts.message_billing_daily")


@pytest.mark.parametrize(
    ("keys", "doubled"),
    [
        ([("SA", None), (None, "SA")], 0),  # a key's parts keep their places
        ([("", None), (None, "")], 0),  # NULL is not an empty text
        ([("SA", None), ("SA", None)], 1),
        ([(None, None), (None, None), (None, None)], 2),
    ],
)
def test_a_key_with_nulls_is_a_key(keys: list[tuple[str | None, str | None]], doubled: int) -> None:
    columns = ", ".join(f'"{column.name}" {column.type}' for column in _BILLING.columns)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE SCHEMA marts; CREATE TABLE {_BILLING.table} ({columns})")
        connection.executemany(
            f"INSERT INTO {_BILLING.table} BY NAME SELECT DATE '2026-11-01' AS date, "
            "? AS country, ? AS currency",
            keys,
        )
        assert status.duplicates(connection, _BILLING) == doubled
