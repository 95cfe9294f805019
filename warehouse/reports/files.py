"""``hatif doctor --deep``: every file of the lake is read and compared with the catalog.

The catalog answers counts by itself, so a file that is missing or cut shows only when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from hatif.findings import Finding
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain
from warehouse.lake.ownership import DELETIONS, FILES
from warehouse.lake.sql import literal

_NAMED = 20  # findings that name a file; of more only the number is given
_ADVICE = "Restore the file from a backup (docs/operations.md)"
_REBUILD = f"{_ADVICE}, or run: hatif rebuild"


def compare(lake: Lake) -> list[Finding]:
    """Read every file; memory does not grow with rows."""
    wrong: list[Finding] = []
    files = rows = 0
    for table, path, expected in _known(lake):
        files += 1
        with lake.reading() as connection:
            problem = _problem(connection, f"{lake.catalog.lake_path}/{path}", expected)
        if problem is None:
            rows += expected
        else:
            advice = _REBUILD if table.startswith(("core.", "marts.")) else _ADVICE
            wrong.append(Finding("files", "failed", f"{table}: {problem}", advice))
    if not wrong:
        text = f"{files:,} files with {rows:,} rows can be read and are what the catalog states"
        return [Finding("files", "ok", text)]
    if len(wrong) > _NAMED:
        text = f"{len(wrong) - _NAMED:,} more files cannot be read or differ"
        return [*wrong[:_NAMED], Finding("files", "failed", text, _ADVICE)]
    return wrong


def _known(lake: Lake) -> Iterator[tuple[str, str, int]]:
    with lake.reading() as connection:
        known = connection.execute(
            f"SELECT table_name, path, rows FROM ({FILES} UNION ALL {DELETIONS}) ORDER BY ALL"
        ).fetchall()
    yield from known


def _problem(connection: duckdb.DuckDBPyConnection, file: str, expected: int) -> str | None:
    """Return what is wrong with a file, None where it holds as many rows as expected."""
    try:
        # The hash reads every column of every row; a count alone reads the file's end.
        found = connection.execute(
            f"SELECT count(*), bit_xor(hash(t)) FROM read_parquet({literal(file)}) t"
        ).fetchone()
    except duckdb.Error as error:
        happened = explain(error).partition(". ")[0]
        return happened if file in happened else f"the file {file} cannot be read: {happened}"
    rows = 0 if found is None else int(found[0])
    if rows != expected:
        return f"the file {file} has {rows:,} rows, the catalog states {expected:,}"
    return None
