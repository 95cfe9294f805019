"""Whether tables have as many rows as their statistics state.

DuckLake answers ``count(*)`` from the catalog. After rows were moved between catalog and files,
both numbers are compared: before anything is removed that could bring a lost row back.
"""

from __future__ import annotations

from collections.abc import Sequence

from warehouse.errors import RowsDiffer
from warehouse.lake.connection import Lake

_COLUMN = """
    SELECT column_name FROM duckdb_columns() WHERE database_name = 'wh'
        AND schema_name || '.' || table_name = ? ORDER BY column_index LIMIT 1
"""


def require(lake: Lake, tables: Sequence[str]) -> int:
    """Compare both numbers; return how many tables were scanned, one column of each.

    Args:
        lake: that has them.
        tables: with their schemas.

    Raises:
        RowsDiffer: a table has more or fewer rows than it states.
    """
    differing = []
    with lake.snapshot() as connection:
        for table in tables:
            ((column,),) = connection.execute(_COLUMN, [table]).fetchall()
            # No hash is NULL; without a look at the values it would be counted by statistics, too.
            scanned = f'SELECT count(*) FILTER (hash("{column}") IS NOT NULL) FROM wh.{table}'
            ((found,),) = connection.execute(scanned).fetchall()
            ((stated,),) = connection.execute(f"SELECT count(*) FROM wh.{table}").fetchall()
            if found != stated:
                differing.append(f"{table} states {stated:,} rows, and a scan finds {found:,}")
    if differing:
        raise RowsDiffer(
            f"{'; '.join(differing)}. Maintenance stopped before it removed anything. For core and "
            "marts run: hatif rebuild; for the others restore a backup (docs/operations.md)"
        )
    return len(tables)
