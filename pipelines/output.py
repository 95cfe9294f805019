"""Rows of a query as a table for people, CSV or JSON for programs."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, TextIO

import msgspec
from rich.console import Console
from rich.table import Table

from warehouse.query import Query

Format = Literal["table", "csv", "json"]

#: A table on a terminal is for reading; more rows than this are for a file.
TABLE_ROWS = 1_000
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def write(query: Query, form: Format, out: TextIO = sys.stdout) -> None:
    """Write all rows in the form asked for."""
    {"table": _table, "csv": _csv, "json": _json}[form](query, out)


def _rows(query: Query) -> Iterator[dict[str, Any]]:
    for batch in query.batches():
        yield from batch.to_pylist()


def _table(query: Query, out: TextIO) -> None:
    rows = _rows(query)
    shown = list(itertools.islice(rows, TABLE_ROWS))
    table = Table(show_edge=False)
    numeric = {n for n in query.schema.names if _is_number(query.schema.field(n).type)}
    for name in query.schema.names:
        table.add_column(name, justify="right" if name in numeric else "left")
    for row in shown:
        table.add_row(*(_cell(value) for value in row.values()))
    console = Console(file=out, highlight=False, markup=False)
    if not console.is_terminal:
        # Nobody's window is known: columns as wide as they need to be.
        console = Console(file=out, highlight=False, markup=False, width=10_000)
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"only the first {TABLE_ROWS:,} rows; --format csv or json writes all")


def _csv(query: Query, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(query.schema.names)
    for row in _rows(query):
        writer.writerow("" if value is None else _cell(value) for value in row.values())


def _json(query: Query, out: TextIO) -> None:
    out.write("[")
    for number, row in enumerate(_rows(query)):
        out.write(",\n " if number else "\n ")
        out.write(_ENCODER.encode(row).decode())
    out.write("\n]\n")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (list, dict)):
        return _ENCODER.encode(value).decode()
    return str(value)


def _is_number(kind: object) -> bool:
    return str(kind).startswith(("int", "uint", "double", "float", "decimal"))
