"""Rows of a query as a table for people, CSV or JSON for programs."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal, TextIO

import msgspec
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from hatif.errors import HatifError
from warehouse.query import Query

Format = Literal["table", "csv", "json"]
Row = tuple[Any, ...]

#: A table on a terminal is for reading; more rows than this are for a file.
TABLE_ROWS = 1_000
_NARROWEST = 8  # characters a column needs to be of use; with less, rows are shown upright
_ENCODER = msgspec.json.Encoder(decimal_format="number")
# What customers write must not steer anybody's terminal.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


class OutputError(HatifError):
    """The rows cannot be written where they should go."""


def count(number: int, what: str) -> str:
    """Say how many: 1 row, 2,000 rows."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def write(query: Query, form: Format, out: TextIO | None = None) -> None:
    """Write all rows in the form asked for, by default to standard output.

    Raises:
        OutputError: the disk is full, or the like.
        BrokenPipeError: whoever reads has had enough.
    """
    out = out or sys.stdout
    try:
        {"table": _table, "csv": _csv, "json": _json}[form](query, out)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write the output: {error.strerror}") from None


def _rows(query: Query) -> Iterator[Row]:
    """Yield rows as tuples, since a SELECT may name two columns alike."""
    readers = [_reader(field.type) for field in query.schema]
    for batch in query.batches():
        columns = (column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns)
        for row in zip(*columns, strict=True):
            yield tuple(
                value if value is None or read is None else read(value)
                for read, value in zip(readers, row, strict=True)
            )


def _reader(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what makes a value of this type fit for every form, None where it already is."""
    if pa.types.is_interval(kind):
        return _duration
    if pa.types.is_binary(kind):
        return bytes.hex
    return None


def _duration(interval: Any) -> str:
    """Return an interval as an ISO 8601 duration."""
    seconds = f"{interval.nanoseconds / 1e9:f}".rstrip("0").rstrip(".")
    return f"P{interval.months}M{interval.days}DT{seconds}S"


def _table(query: Query, out: TextIO) -> None:
    rows = _rows(query)
    shown = [tuple(map(_shown, row)) for row in itertools.islice(rows, TABLE_ROWS)]
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        # Nobody's window is known: columns as wide as they need to be.
        console = Console(file=out, highlight=False, markup=False, emoji=False, width=10_000)
    if console.width < _NARROWEST * len(query.schema.names):
        _upright(console, query.schema.names, shown)
    else:
        table = Table(show_edge=False)
        for field in query.schema:
            table.add_column(field.name, justify="right" if _is_number(field.type) else "left")
        for row in shown:
            table.add_row(*row)
        console.print(table)
    if next(rows, None) is not None:
        console.print(f"only the first {TABLE_ROWS:,} rows; --format csv or json writes all")


def _upright(console: Console, names: list[str], rows: list[tuple[str, ...]]) -> None:
    """Print each row as a block of its own, a line a column."""
    for number, row in enumerate(rows, 1):
        block = Table(title=f"row {number}", title_justify="left", show_edge=False)
        block.show_header = False
        for name, value in zip(names, row, strict=True):
            block.add_row(name, value)
        console.print(block)


def _csv(query: Query, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(query.schema.names)
    writer.writerows(tuple(map(_cell, row)) for row in _rows(query))


def _json(query: Query, out: TextIO) -> None:
    names = _distinct(query.schema.names)
    out.write("[")
    for number, row in enumerate(_rows(query)):
        out.write(",\n " if number else "\n ")
        out.write(_ENCODER.encode(dict(zip(names, row, strict=True))).decode())
    out.write("\n]\n")


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number on those that were there before: a, a_1."""
    found: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
        found.append(next(candidate for candidate in candidates if candidate not in found))
    return found


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, dict)):
        return _ENCODER.encode(value).decode()
    return str(value)


def _shown(value: object) -> str:
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else _cell(value)
    return text.translate(_CONTROL)


def _is_number(kind: pa.DataType) -> bool:
    return str(kind).startswith(("int", "uint", "double", "float", "decimal"))
