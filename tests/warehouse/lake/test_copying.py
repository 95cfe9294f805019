"""Rows streamed from one connection to another, and what fails on the way."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from warehouse.lake.copying import copy_rows

Pair = tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]
_INTO = "CREATE OR REPLACE TEMP TABLE copied AS FROM copied_rows"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connections of one instance; what is temporary belongs to one of them."""
    source = duckdb.connect(config={"memory_limit": "30MB", "threads": 1})
    source.execute("SET temp_directory = ''")
    target = source.cursor()
    yield source, target
    target.close()
    source.close()


def test_rows_and_their_number_arrive(pair: Pair) -> None:
    source, target = pair
    source.execute("BEGIN")
    source.execute(
        "CREATE TEMP TABLE made AS SELECT i, 'text ' || chr(0) || i AS text, "
        "CASE WHEN i % 2 = 0 THEN TIMESTAMPTZ '2026-01-01 00:00:00+00' END AS at, "
        "'nan'::DOUBLE AS no_number FROM range(5000) r(i)"
    )

    assert copy_rows(source, "FROM made", target, _INTO) == 5_000

    rows = "ORDER BY ALL LIMIT 7"
    copied = target.execute(f"SELECT COLUMNS(*)::VARCHAR FROM copied {rows}").fetchall()
    assert copied == source.execute(f"SELECT COLUMNS(*)::VARCHAR FROM made {rows}").fetchall()


_LATE = "range(10000) r(i)"


@pytest.mark.parametrize(
    ("select", "kind"),
    [
        (f"SELECT if(i = 9000, 'x', '1')::INTEGER FROM {_LATE}", duckdb.ConversionException),
        (f"SELECT if(i = 9000, error('no'), 1) FROM {_LATE}", duckdb.InvalidInputException),
        (
            f"SELECT if(i = 9000, repeat('x', 99000000), '') FROM {_LATE}",
            duckdb.OutOfMemoryException,
        ),
        ("FROM nowhere", duckdb.CatalogException),
    ],
)
def test_what_fails_at_the_source_is_raised_as_there(
    pair: Pair, select: str, kind: type[Exception]
) -> None:
    source, target = pair

    with pytest.raises(kind):
        copy_rows(source, select, target, _INTO)

    assert copy_rows(source, "SELECT 1", target, _INTO) == 1


def test_what_fails_at_the_target_leaves_both_usable(pair: Pair) -> None:
    source, target = pair

    with pytest.raises(duckdb.ConversionException):
        copy_rows(
            source,
            "SELECT 'x' AS text FROM range(9999)",
            target,
            "CREATE TEMP TABLE no AS SELECT text::INTEGER FROM copied_rows",
        )

    assert copy_rows(source, "SELECT 1", target, _INTO) == 1
