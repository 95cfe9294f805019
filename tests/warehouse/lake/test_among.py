"""A condition on keys finds the rows that a subquery finds, whatever the keys are."""

from __future__ import annotations

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse.lake.sql import among, exists, scalar

_KEYS = st.lists(st.none() | st.text(alphabet="ab'\0é", max_size=3), max_size=5)


@settings(deadline=None, max_examples=40)
@given(rows=_KEYS, keys=_KEYS)
@example(rows=["a", None, "\0"], keys=["\0", "a"])
@example(rows=[str(number) for number in range(500)], keys=[str(2 * n) for n in range(200)])
@example(rows=["it's"], keys=["it's", None])
def test_it_holds_for_the_rows_that_a_subquery_finds(
    rows: list[str | None], keys: list[str | None]
) -> None:
    with duckdb.connect() as connection:
        for name, values in (("rows", rows), ("chosen", keys)):
            connection.execute(
                f"CREATE TEMP TABLE {name} AS SELECT unnest(?::VARCHAR[]) AS k", [values]
            )
        where = among(connection, "k", "k", "chosen")
        expected = scalar(
            connection,
            "SELECT count(*) FROM rows WHERE k IN (SELECT k FROM chosen WHERE k IS NOT NULL)",
        )
        assert (where is None) == (not exists(connection, "FROM chosen WHERE k IS NOT NULL"))
        assert scalar(connection, f"SELECT count(*) FROM rows WHERE {where or 'false'}") == expected
